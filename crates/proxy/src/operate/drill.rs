//! Drills: an endpoint is treated for a while as if it failed, as long as that harms nobody more than it has
//! to, and what clients saw is told. One at a time; it ends by itself, and sooner at anything that makes it
//! less than safe.

use super::endpoints::Found;
use super::{Data, Moment, Operator, Outcome, Reply, done};
use crate::admin::{
    AdminState, DrillConnections, DrillPool, DrillReport, DrillStart, DrillVerdict, Peer,
};
use crate::drill::{Change, Counted, Drill, Fault};
use crate::observe::Event;
use crate::observe::metrics::PoolTotals;
use crate::pool::Endpoint;
use eclusa_config::plan::Program;
use eclusa_policy::quorum::Quorum;
use eclusa_policy::verdict::{Tier, Verdict};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// How often a drill is looked after.
const LOOK: Duration = Duration::from_millis(50);
/// How much later all comes from an endpoint that is slow, where nothing else is said.
const DELAY: Duration = Duration::from_secs(1);

/// The drill that is on, and the last one.
#[derive(Default)]
pub(super) struct Drills {
    /// How many there were.
    count: u64,
    running: Option<Running>,
    last: Option<DrillReport>,
}

/// A drill that is on.
struct Running {
    drill: Arc<Drill>,
    found: Found,
    /// As ordered; what came of it is still to be filled in.
    ordered: DrillReport,
    /// What the pool had counted when it began.
    before: Served,
}

/// What a pool has counted.
#[derive(Clone, Copy)]
struct Served {
    totals: PoolTotals,
    unserved: u64,
    cut: u64,
}

impl Operator {
    /// Begins a drill.
    pub(super) fn drill(self: &Rc<Self>, wanted: DrillStart, by: &Peer) -> Reply {
        let found = match self.drillable(&wanted) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let DrillStart { pool, endpoint, fault, for_seconds, delay_ms, reason } = wanted;
        let length = Duration::from_secs(for_seconds);
        let delay = delay_ms.map_or(DELAY, Duration::from_millis);
        let Some(report) = found.endpoints.first().map(|it| it.report()) else {
            return refused(format!("{pool}/{endpoint} has no address"));
        };
        let drill = Drill::begin(fault, delay, length, &report);
        let (began, number) = (Moment::now(), self.drills.borrow().count + 1);
        let ordered = DrillReport {
            number,
            pool,
            endpoint,
            fault,
            delay_ms: (fault == Fault::Slow).then(|| millis(delay)),
            began,
            until: began.after(length),
            by: by.user(),
            reason,
            lasted_ms: 0,
            ended: None,
            connections: DrillConnections::default(),
            of_pool: DrillPool::default(),
            standing: [sessions(&found); 2],
            verdicts: Vec::new(),
        };
        let running = Running { drill, before: served(&found), found, ordered };
        let (what, until) = (running.what(), running.ordered.until);
        for endpoint in &running.found.endpoints {
            endpoint.set_drill(Some(running.drill.clone()));
        }
        self.engine.metrics().drill_begins(fault);
        let message =
            format!("DRILL: {what} for {for_seconds} s: verdicts on it are the drill's doing");
        self.engine.event(running.about(message).about("on", true));
        let report = running.report(None);
        let mut drills = self.drills.borrow_mut();
        (drills.count, drills.running) = (number, Some(running));
        drop(drills);
        spawn_local(look_after(Rc::clone(self), number));
        let name = self.program.name();
        let told = format!(
            "{what} until {until}, whatever becomes of this command; `{name} drill stop` ends it"
        );
        done(Data::Drill(Box::new(report))).line(told).changed("no drill", what)
    }

    /// Ends the drill that is on, by order.
    pub(super) fn stop_drill(&self) -> Reply {
        match self.end_drill("ordered") {
            Some(report) => {
                let what = what(&report);
                let told = format!("{what}: over");
                done(Data::Drill(Box::new(report))).line(told).changed(what, "no drill")
            }
            None => Reply::not_done(Outcome::Failed, "there is no drill to end"),
        }
    }

    /// Tells of the drill that is on, or of the last one.
    pub(super) fn show_drill(&self) -> Reply {
        let drills = self.drills.borrow();
        let report = drills.running.as_ref().map(|running| running.report(None));
        match report.or_else(|| drills.last.clone()) {
            Some(report) => done(Data::Drill(Box::new(report))),
            None => {
                let message = "there was no drill since this engine began";
                Reply::not_done(Outcome::Failed, message)
            }
        }
    }

    /// The drill that is on.
    pub(super) fn drill_on(&self) -> Option<DrillReport> {
        self.drills.borrow().running.as_ref().map(|running| running.report(None))
    }

    /// Whether an endpoint is in the drill that is on.
    pub(super) fn is_drilled(&self, endpoint: &Endpoint) -> bool {
        let drills = self.drills.borrow();
        drills.running.as_ref().is_some_and(|running| running.found.has(endpoint))
    }

    /// Ends the drill that is on, at once.
    pub(crate) fn end_drill(&self, why: &str) -> Option<DrillReport> {
        let running = self.drills.borrow_mut().running.take()?;
        let report = running.report(Some(why));
        running.drill.end();
        for endpoint in &running.found.endpoints {
            endpoint.set_drill(None);
        }
        self.engine.metrics().drill_ends();
        let DrillConnections { met, elsewhere, failed, slowest_ms, .. } = report.connections;
        let message = format!(
            "drill over: {} after {} ms: {why}; of {met} connections to it {elsewhere} reached another \
             endpoint and {failed} none, the slowest in {slowest_ms} ms; {} of the pool were broken off",
            running.what(),
            report.lasted_ms,
            report.of_pool.broken,
        );
        let event = running.about(message).about("on", false).about("why", why).about("met", met);
        let event = event.about("elsewhere", elsewhere).about("failed", failed);
        self.engine.event(event.about("broken", report.of_pool.broken));
        self.drills.borrow_mut().last = Some(report.clone());
        Some(report)
    }

    /// The endpoint of a drill, where one may begin.
    fn drillable(&self, wanted: &DrillStart) -> Result<Found, Reply> {
        if !self.engine.plan().admin.is_some_and(|admin| admin.drills) {
            let message = "drills are off: `drills = true` in [admin] of the file, and a reload, allow \
                           them";
            return Err(refused(message));
        }
        if let Some(running) = &self.drills.borrow().running {
            let (what, until) = (running.what(), running.ordered.until);
            let name = self.program.name();
            return Err(refused(format!(
                "{what} is on until {until}; `{name} drill stop` ends it"
            )));
        }
        if self.engine.metrics().is_stopping() {
            return Err(refused("the service stops"));
        }
        let found = self.find(&wanted.pool, &wanted.endpoint)?;
        let out = |it: &&Arc<Endpoint>| it.report().verdict != Verdict::Up || !is_ready(it);
        if let Some(endpoint) = found.endpoints.iter().find(out) {
            let (verdict, admin) = (endpoint.report().verdict.name(), endpoint.admin().name());
            let what = if is_ready(endpoint) { verdict } else { admin };
            let (pool, name) = (&wanted.pool, &wanted.endpoint);
            let message =
                format!("{pool}/{name} is {what}: a drill wants one that is up and takes sessions");
            return Err(refused(message));
        }
        self.may_leave(&found).and_then(|()| self.goes_on_without(&found)).map_err(refused)?;
        Ok(found)
    }

    /// Whether the others of the pool are enough by themselves.
    fn goes_on_without(&self, found: &Found) -> Result<(), String> {
        let (name, all) = (found.pool.name(), found.pool.endpoints());
        let others = || all.iter().filter(|it| is_ready(it) && !found.has(it));
        if !others().any(|it| it.report().tier <= Tier::Suspect) {
            return Err(format!("pool {name} would be left without an endpoint that is well"));
        }
        if self.program == Program::Apiserver {
            let counts = |it: &Endpoint| is_ready(it) && !found.has(it);
            let reports: Vec<_> = all.iter().map(|it| (it.report(), counts(it))).collect();
            let quorum = Quorum::count(reports.iter().map(|(report, counts)| (report, *counts)));
            if !quorum.stands() {
                return Err(format!("pool {name} without it: {quorum}"));
            }
        }
        Ok(())
    }
}

/// Looks after a drill until it is over.
async fn look_after(operator: Rc<Operator>, number: u64) {
    loop {
        sleep(LOOK).await;
        let why = {
            let drills = operator.drills.borrow();
            let own = drills.running.as_ref().filter(|it| it.ordered.number == number);
            let Some(running) = own else { return };
            match (running.drill.is_over(), operator.goes_on_without(&running.found)) {
                (true, _) => Some("its time is over".to_owned()),
                (false, Err(trouble)) => Some(trouble),
                (false, Ok(())) => None,
            }
        };
        if let Some(why) = why {
            operator.end_drill(&why);
            return;
        }
    }
}

impl Found {
    fn has(&self, endpoint: &Endpoint) -> bool {
        self.endpoints.iter().any(|it| it.key() == endpoint.key())
    }
}

impl Running {
    fn what(&self) -> String {
        what(&self.ordered)
    }

    fn about(&self, message: String) -> Event {
        let DrillReport { pool, endpoint, fault, by, .. } = &self.ordered;
        let event = Event::new("drill", message).about("pool", pool.clone());
        let event = event.about("endpoint", endpoint.clone()).about("fault", fault.name());
        event.about("by", by.clone())
    }

    /// What came of it so far; `ended`: at last, for this reason.
    fn report(&self, ended: Option<&str>) -> DrillReport {
        let Counted { met, elsewhere, through, failed, left, slowest } = self.drill.counted();
        let (before, now) = (&self.before, served(&self.found));
        let since = |of: fn(&PoolTotals) -> u64| of(&now.totals).saturating_sub(of(&before.totals));
        let verdict = |Change { after, verdict, reason }| DrillVerdict {
            after_ms: millis(after),
            verdict: verdict.name().to_owned(),
            why: reason.to_string(),
        };
        DrillReport {
            lasted_ms: millis(self.drill.lasts()),
            ended: ended.map(str::to_owned),
            connections: DrillConnections {
                met,
                elsewhere,
                through,
                failed,
                left,
                slowest_ms: millis(slowest),
            },
            of_pool: DrillPool {
                ended: since(|it| it.ended + it.http.map_or(0, |[exchanges, ..]| exchanges)),
                unserved: now.unserved.saturating_sub(before.unserved),
                broken: since(|it| it.aborts[1]) + now.cut.saturating_sub(before.cut),
                again: since(|it| it.redials + it.retries),
            },
            standing: [self.ordered.standing[0], sessions(&self.found)],
            verdicts: self.drill.changes().into_iter().map(verdict).collect(),
            ..self.ordered.clone()
        }
    }
}

/// `freeze of apiserver/m2`
fn what(report: &DrillReport) -> String {
    format!("{} of {}/{}", report.fault.name(), report.pool, report.endpoint)
}

fn served(found: &Found) -> Served {
    let cells = found.pool.cells();
    Served { totals: cells.totals(), unserved: cells.unserved(), cut: cells.cut() }
}

/// Sessions that stand on its endpoints.
fn sessions(found: &Found) -> u64 {
    found.endpoints.iter().map(|endpoint| u64::from(endpoint.sessions())).sum()
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.admin() == AdminState::Ready
}

fn refused(why: impl Into<String>) -> Reply {
    Reply::not_done(Outcome::Refused, why)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
