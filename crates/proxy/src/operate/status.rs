//! How everything is, for `status`.

use super::{Data, Moment, Operator, Reply, done, wrong};
use crate::admin::{
    AdminStatus, CertificateStatus, EndpointStatus, ListenerStatus, PoolStatus, StatusReport,
    WorkerStatus,
};
use crate::observe::View;
use crate::observe::metrics::STUCK;
use crate::pool::{Endpoint, Pool};
use eclusa_config::plan::Program;
use eclusa_policy::verdict::Outcome;
use std::sync::Arc;

impl Operator {
    pub(super) fn status(&self, of: Option<&str>) -> Reply {
        let status = self.engine.status();
        let pools = status.pools.iter().filter(|pool| of.is_none_or(|name| pool.name() == name));
        let pools: Vec<_> = pools.collect();
        if let Some(name) = of
            && pools.is_empty()
        {
            return wrong(format!("there is no pool {name}"));
        }
        let (heartbeats, view) = (self.engine.heartbeats(), self.engine.view());
        let worker = |(index, sessions): (usize, &u32)| WorkerStatus {
            alive: heartbeats.age(index).is_some_and(|age| age <= STUCK),
            sessions: u64::from(*sessions),
        };
        let report = StatusReport {
            program: self.program.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            generation: status.generation,
            at: Moment::now(),
            uptime_seconds: self.engine.uptime().as_secs(),
            stopping: self.engine.metrics().is_stopping(),
            last_reload: self.last_reload.borrow().clone(),
            file_refused: self.engine.refused_file().map(|why| (*why).clone()),
            gone_back: self.engine.gone_back().map(|why| (*why).clone()),
            unconfirmed: self.unconfirmed(),
            drill: self.drill_on(),
            workers: status.sessions.iter().enumerate().map(worker).collect(),
            listeners: self.listeners(),
            certificates: certificates(&pools),
            pools: pools.iter().map(|pool| self.pool(&view, pool)).collect(),
            overrides: self.state.borrow().report(),
        };
        done(Data::Status(Box::new(report)))
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        let listeners = self.engine.listeners().into_iter();
        let status = |(name, addresses, sessions)| ListenerStatus { name, addresses, sessions };
        listeners.map(status).collect()
    }

    fn pool(&self, view: &View, pool: &Pool) -> PoolStatus {
        let standing = view.standing(pool);
        let availability = match (standing.is_available(), standing.panic) {
            (false, _) => "nobody",
            (true, true) => "panic",
            (true, false) => "fine",
        };
        let words = || {
            format!(
                "{}/{} ready, can lose {}",
                standing.ready, standing.endpoints, standing.can_lose
            )
        };
        let endpoints = pool.endpoints();
        PoolStatus {
            name: pool.name().to_owned(),
            availability: availability.to_owned(),
            correlated: standing.correlated,
            quorum: (self.program == Program::Apiserver).then(words),
            queued: pool.waiting() as u64,
            endpoints: endpoints.iter().map(|it| endpoint_status(self, pool, it)).collect(),
        }
    }
}

/// How an endpoint is.
pub(super) fn endpoint_status(
    operator: &Operator,
    pool: &Pool,
    endpoint: &Endpoint,
) -> EndpointStatus {
    let (report, written, now) = (endpoint.report(), endpoint.written(), operator.engine.time());
    let state = operator.state.borrow();
    let admin = state.admin(pool.name(), &written.name).map(|(state, order)| AdminStatus {
        state,
        reason: order.reason.clone(),
        until: order.until,
    });
    let weight = endpoint.weight();
    let sign = |outcome: &Outcome| match outcome {
        Outcome::Good => '+',
        Outcome::Bad(_) => '-',
        Outcome::Vetoed => '~',
        Outcome::Void(_) => '?',
    };
    EndpointStatus {
        name: written.name.to_string(),
        address: endpoint.address(),
        verdict: report.verdict.name().to_owned(),
        why: report.reason.to_string(),
        since: Moment::now().before(now.since(report.since)),
        blind: report.blind,
        correlated: report.correlated,
        admin: admin.unwrap_or_default(),
        weight,
        file_weight: Some(written.weight).filter(|file| *file != weight),
        backup: written.backup,
        sessions: u64::from(endpoint.sessions()),
        failures: endpoint.failures(),
        results: endpoint.results().iter().map(|entry| sign(&entry.outcome)).collect(),
    }
}

/// The certificates that probes use, each once, and those that they saw.
fn certificates(pools: &[&Arc<Pool>]) -> Vec<CertificateStatus> {
    let end = |seconds: i64| Moment::from_unix(u64::try_from(seconds).unwrap_or(0));
    let mut all: Vec<CertificateStatus> = Vec::new();
    for used in pools.iter().flat_map(|pool| pool.certificates().to_vec()) {
        let path = used.path.display().to_string();
        let (names, not_after) = (used.names, end(used.not_after));
        let status = CertificateStatus { path, names, not_after };
        if !all.contains(&status) {
            all.push(status);
        }
    }
    for pool in pools {
        for endpoint in pool.endpoints().iter() {
            let Some(seen) = endpoint.certificate_end() else { continue };
            let path = format!("{}/{}", pool.name(), endpoint.name());
            all.push(CertificateStatus { path, names: Vec::new(), not_after: end(seen) });
        }
    }
    all
}
