//! `explain`: where a connection or a request goes. The way through access, rules and routes comes
//! from [`eclusa_config::explain`], the endpoints from the pools that traffic picks from.

use crate::admin::{
    AdminState, CandidateReport, Explain, Explanation, PoolReport, TriedReport, WhyReport,
};
use crate::layer7::{Service, Services};
use crate::observe::metrics::Metrics;
use crate::pool::{Endpoint, Pool, Position, Preview, Wanted};
use eclusa_config::explain::{Explained, Outcome, explain, explain_in, shares};
use eclusa_config::plan::{self, EndpointAddress, Plan};
use eclusa_policy::access::Decision;
use eclusa_policy::balance::Algorithm;
use eclusa_policy::condition::{Counted, Request, Why, World, Written};
use eclusa_policy::route::Target;
use eclusa_policy::time::Time;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Routes that an index left out and that are listed all the same.
const LEFT_OUT: usize = 50;

/// What is known of the program that runs.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    /// Its pools.
    pub(crate) pools: &'a [Arc<Pool>],
    /// Its services.
    pub(crate) services: &'a Services,
    /// The time.
    pub(crate) now: Time,
}

/// Explains what becomes of `asked` under a plan, with what is `live`; without, all endpoints are
/// taken to be up.
///
/// # Errors
/// What the question lacks, in words.
pub(crate) fn answer(
    plan: &Plan,
    asked: &Explain,
    live: Option<Live<'_>>,
) -> Result<Explanation, String> {
    let question = asked.question()?;
    let world = live.map(|live| Running { plan, live });
    let explained = match &world {
        Some(world) => explain_in(plan, &question, world)?,
        None => explain(plan, &question)?,
    };
    let mut notes = explained.notes.clone();
    let pools = match &explained.outcome {
        Outcome::Routed { target, .. } => pools((plan, live), &explained, target, &mut notes),
        _ => Vec::new(),
    };
    let (outcome, status, words) = words(plan, &explained);
    let network = match explained.access {
        Decision::Allowed(network) | Decision::Denied(network) => network,
    };
    let tried = |number: usize, does: String, evaluated: bool, why: Why| TriedReport {
        number: number + 1,
        does,
        evaluated,
        why: WhyReport::from(why),
    };
    let rules = explained.rules.iter();
    let rules = rules.map(|it| tried(it.rule, it.does.clone(), true, it.why.clone())).collect();
    let left_out = explained.routes.iter().filter(|it| !it.evaluated).count();
    let lists_all = left_out <= LEFT_OUT;
    let routes = explained.routes.iter().filter(|it| lists_all || it.evaluated).map(|it| {
        let target = explained.listener.routes.get(it.route).map(|route| &route.target);
        let does = target.map_or(String::new(), |target| leads_to(plan, target));
        tried(it.route, does, it.evaluated, it.why.clone())
    });
    Ok(Explanation {
        listener: explained.listener.name.to_string(),
        address: explained.destination,
        from: explained.from,
        server_name: explained.server_name.clone(),
        request: explained.request.as_ref().map(line_of),
        offline: live.is_none(),
        allowed: matches!(explained.access, Decision::Allowed(_)),
        network: network.map(|network| network.to_string()),
        rules,
        routes: routes.collect(),
        routes_left_out: if lists_all { 0 } else { left_out },
        outcome: outcome.to_owned(),
        status,
        words,
        pools,
        notes,
    })
}

/// How pools and counters of the program stand.
struct Running<'a> {
    plan: &'a Plan,
    live: Live<'a>,
}

impl fmt::Debug for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl World for Running<'_> {
    fn available(&self, pool: usize, enough: usize) -> usize {
        let name = self.plan.pools.get(pool).map(|pool| &pool.name);
        let found = self.live.pools.iter().find(|pool| name.is_some_and(|it| **it == *pool.name()));
        found.map_or(0, |pool| pool.available(enough))
    }

    fn counted(&self, counter: usize, client: IpAddr) -> Counted {
        // All services of a plan count at the same.
        let service = self.live.services.values().next();
        service.map_or_else(Counted::default, |it| it.counted(counter, client, self.live.now))
    }

    fn count(&self, _: usize, _: IpAddr) {}
}

fn line_of(request: &Written) -> String {
    let query = request.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
    format!("{} {}{}{query}", request.method, request.host, request.path)
}

/// In one word, with a status where there is one, and in words.
fn words(plan: &Plan, explained: &Explained<'_>) -> (&'static str, Option<u16>, String) {
    match &explained.outcome {
        Outcome::Denied => {
            let why = match explained.access {
                Decision::Denied(Some(network)) => format!("`deny` has {network}"),
                _ => "no `allow` network holds the client".to_owned(),
            };
            ("denied", None, format!("the connection is closed: {why}"))
        }
        Outcome::Answered { status, rule, what } => {
            let by = rule.map_or(String::new(), |rule| format!(" by rule {}", rule + 1));
            ("answered", Some(*status), format!("answered with {status}{by}: {what}"))
        }
        Outcome::Closed { rule } => {
            ("closed", None, format!("rule {}: the connection is closed", rule + 1))
        }
        Outcome::Routed { route, target } => {
            let word = if matches!(target, Target::Pool(_)) { "pool" } else { "split" };
            (word, None, format!("route {}: {}", route + 1, leads_to(plan, target)))
        }
        Outcome::Nowhere if explained.request.is_some() => {
            ("nowhere", Some(404), "no route takes it: answered with 404".to_owned())
        }
        Outcome::Nowhere => {
            ("nowhere", None, "no route takes it: the connection is closed".to_owned())
        }
    }
}

fn leads_to(plan: &Plan, target: &Target) -> String {
    let name = |pool: usize| plan.pools.get(pool).map_or("?", |pool| &pool.name).to_owned();
    match target {
        Target::Pool(pool) => format!("to pool {}", name(*pool)),
        Target::Split(split) => {
            let shares = split.shares().iter();
            let shares: Vec<_> =
                shares.map(|(share, pool)| format!("{} {share}", name(*pool))).collect();
            format!("split: {}", shares.join(", "))
        }
    }
}

fn pools(
    (plan, live): (&Plan, Option<Live<'_>>),
    explained: &Explained<'_>,
    target: &Target,
    notes: &mut Vec<String>,
) -> Vec<PoolReport> {
    let shares = shares(target);
    let total: u32 = shares.iter().map(|(share, _)| share).sum();
    let mut reports = Vec::new();
    for (share, index) in shares {
        let Some(written) = plan.pools.get(index) else { continue };
        let share = f64::from(share) / f64::from(total.max(1));
        let pool = match live {
            Some(live) => live.pools.iter().find(|pool| *pool.name() == *written.name).cloned(),
            None => Some(taken_as_up(written)),
        };
        let Some(pool) = pool else { continue };
        let request = explained.request.as_ref().map(|request| request as &dyn Request);
        let service = live.and_then(|live| live.services.get(&explained.listener.name));
        let at = wish(written, (index, &pool), (service, request), notes);
        let wanted = Wanted {
            source: explained.from,
            excluded: &[],
            now: live.map_or(Time::START, |live| live.now),
            any: false,
            key: request.and_then(|request| written.http.hash.as_ref()?.key(request)),
            at,
        };
        let mut report = report(written, &pool.preview(wanted), share);
        if live.is_none() {
            let up = report.endpoints.iter_mut().filter(|endpoint| endpoint.verdict.is_some());
            up.for_each(|endpoint| "taken to be up".clone_into(&mut endpoint.because));
        }
        if at.is_some() {
            report.balance = format!("{}; a sticky cookie names the endpoint", report.balance);
        }
        reports.push(report);
    }
    reports
}

/// The endpoint that a sticky cookie of the request names.
fn wish(
    written: &plan::Pool,
    (index, pool): (usize, &Pool),
    (service, request): (Option<&Arc<dyn Service>>, Option<&dyn Request>),
    notes: &mut Vec<String>,
) -> Option<SocketAddr> {
    let (name, request) = (written.http.sticky.as_ref()?, request?);
    match service {
        Some(service) => service.sticks(index, pool, request),
        None => {
            notes.push(format!(
                "a client that brings back the cookie `{name}` stays at its endpoint of pool {}",
                written.name
            ));
            None
        }
    }
}

/// A pool that nothing runs: endpoints at addresses are up, names are not resolved.
fn taken_as_up(written: &Arc<plan::Pool>) -> Arc<Pool> {
    // What nobody probes counts as up.
    let written = plan::Pool { probe: plan::Probe::None, ..(**written).clone() };
    Arc::new(Pool::new(Arc::new(written), &Metrics::new(1, "explain")))
}

fn report(written: &plan::Pool, previews: &[Preview], share: f64) -> PoolReport {
    let mut endpoints: Vec<_> = previews.iter().map(candidate).collect();
    for endpoint in &written.endpoints {
        let named = matches!(endpoint.address, EndpointAddress::Name { .. });
        if named && !previews.iter().any(|it| it.endpoint.name() == endpoint.name) {
            endpoints.push(CandidateReport {
                name: endpoint.name.to_string(),
                address: None,
                position: "unresolved".to_owned(),
                because: "its name has no address here".to_owned(),
                verdict: None,
                admin: AdminState::Ready,
                weight: endpoint.weight,
                sessions: 0,
                share: 0.0,
            });
        }
    }
    // Of one in a thousand picks the other might be missing: all picks are counted.
    let mut picked = previews.iter().filter(|it| it.share > 0.0);
    let next = match (picked.next(), picked.next()) {
        (Some(only), None) => Some(only.endpoint.name().to_string()),
        _ => None,
    };
    let known = Algorithm::ALL.iter().find(|(_, algorithm)| *algorithm == written.balance);
    let balance = known.map_or("?", |(name, _)| name).to_owned();
    PoolReport { name: written.name.to_string(), share, balance, next, endpoints }
}

fn candidate(preview: &Preview) -> CandidateReport {
    let endpoint = &preview.endpoint;
    let position = match preview.position {
        Position::Candidate => "candidate",
        Position::Full => "full",
        Position::Spare => "spare",
        Position::Out => "out",
    };
    CandidateReport {
        name: endpoint.name().to_string(),
        address: Some(endpoint.address()),
        position: position.to_owned(),
        because: because(endpoint, preview.position),
        verdict: Some(endpoint.report().verdict.name().to_owned()),
        admin: endpoint.admin(),
        weight: endpoint.weight(),
        sessions: u64::from(endpoint.sessions()),
        share: preview.share,
    }
}

/// Why an endpoint is in or out.
fn because(endpoint: &Endpoint, position: Position) -> String {
    let report = endpoint.report();
    let held = format!("{}: {}", report.verdict.name(), report.reason);
    match position {
        Position::Out if endpoint.admin() != AdminState::Ready => {
            format!("the operator has set it to {}; {held}", endpoint.admin().name())
        }
        Position::Full => {
            let taken = endpoint.places_taken();
            format!("all of its places are taken ({taken}); {held}")
        }
        Position::Spare if endpoint.written().backup => {
            format!("a backup: for when no other can take a session; {held}")
        }
        Position::Spare => format!("for when no better one can take a session; {held}"),
        Position::Candidate | Position::Out => held,
    }
}

#[cfg(test)]
mod tests;
