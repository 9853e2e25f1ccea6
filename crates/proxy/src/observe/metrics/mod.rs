//! Metrics: what is counted, where, and the page that shows it.
//!
//! | file | concern |
//! |---|---|
//! | `table` | every name, with type, unit, labels, help; `docs/metrics.md` |
//! | `cells`, `histogram` | what workers count: a block per worker, added up when somebody asks |
//! | `exchanges` | what they count of TLS and HTTP |
//! | `probing` | what the probes' thread counts |
//! | `heartbeat` | which workers run |
//! | `dashboard` | who looks at the dashboard, and who may not |
//! | `observed` | what `observe` finds |
//! | `recorder` | reloads, restarts: what the control side counts by the macros of `metrics` |
//! | `process` | what the system knows of the process |
//! | `totals` | what workers count as plain numbers, for who tells it in other words |
//! | `page` | all of it as Prometheus reads it |

mod cells;
mod dashboard;
mod exchanges;
mod heartbeat;
mod histogram;
mod observed;
mod page;
mod probing;
mod process;
mod recorder;
pub mod table;
mod totals;

pub(crate) use cells::{ListenerCells, PoolCells};
pub(crate) use dashboard::Unwelcome;
pub use exchanges::{Compressed, Handshake, Limited, Login};
pub use heartbeat::Heartbeats;
pub(crate) use heartbeat::STUCK;
pub(crate) use page::{Page, render};
pub(crate) use totals::{HttpTotals, PoolTotals};

use super::{End, Record, View};
use crate::admin::Cut;
use crate::drill::Fault;
use cells::WorkerCell;
use histogram::Counter;
use metrics::{counter, gauge, with_local_recorder};
use process::Process;
use recorder::ControlRecorder;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything that is counted of one engine.
#[derive(Debug)]
pub struct Metrics {
    pub(crate) heartbeats: Arc<Heartbeats>,
    workers: Box<[WorkerCell]>,
    /// What there is for each name, for as long as a listener or pool of that name lives. So counters
    /// go on where a reload keeps the name.
    listeners: ByName<ListenerCells>,
    pools: ByName<PoolCells>,
    control: ControlRecorder,
    process: Process,
    began: SystemTime,
    stopping: AtomicBool,
    /// The last reload was refused.
    refused: AtomicBool,
    /// What [`super::http`] last found: see `table::REACH`.
    reach: AtomicI8,
    vip: AtomicBool,
}

impl Metrics {
    /// Of an engine with so many workers, whose first configuration is in force.
    pub(crate) fn new(workers: usize, program: &'static str) -> Self {
        let metrics = Self {
            heartbeats: Arc::new(Heartbeats::new(workers)),
            workers: (0..workers).map(|_| WorkerCell::default()).collect(),
            listeners: ByName::default(),
            pools: ByName::default(),
            control: ControlRecorder::default(),
            process: Process::open(),
            began: SystemTime::now(),
            stopping: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            reach: AtomicI8::new(-1),
            vip: AtomicBool::new(true),
        };
        metrics.begin_control(program);
        metrics
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Counters begin at 0, not at the first thing that happens.
    fn begin_control(&self, program: &'static str) {
        with_local_recorder(&self.control, || {
            let version = env!("CARGO_PKG_VERSION");
            gauge!("eclusa_build_info", "program" => program, "version" => version).set(1.0);
            for outcome in ["done", "refused"] {
                counter!("eclusa_reloads_total", "outcome" => outcome).absolute(0);
            }
            for why in ["unconfirmed", "ordered"] {
                counter!("eclusa_rollbacks_total", "why" => why).absolute(0);
            }
            for fault in Fault::ALL {
                counter!("eclusa_drills_total", "fault" => fault.name()).absolute(0);
            }
            gauge!("eclusa_drill_on").set(0.0);
            counter!("eclusa_engine_restarts_total").absolute(0);
            counter!("eclusa_workers_replaced_total").absolute(0);
            gauge!("eclusa_haproxy_socket_clients").set(0.0);
            gauge!("eclusa_haproxy_socket_clients_max").set(0.0);
            for reason in Cut::WORDS {
                counter!("eclusa_haproxy_socket_cut_total", "reason" => reason).absolute(0);
            }
            gauge!("eclusa_config_generation").set(1.0);
        });
        self.taken();
    }

    /// The configuration in force was taken now.
    fn taken(&self) {
        self.refused.store(false, Ordering::Relaxed);
        with_local_recorder(&self.control, || {
            gauge!("eclusa_last_reload_successful").set(1.0);
            gauge!("eclusa_config_last_good").set(0.0);
            gauge!("eclusa_config_gone_back").set(0.0);
            gauge!("eclusa_config_unconfirmed").set(0.0);
            gauge!("eclusa_last_reload_success_timestamp_seconds").set(seconds(SystemTime::now()));
        });
    }

    /// A reload has put another configuration in force.
    pub fn reloaded(&self) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_reloads_total", "outcome" => "done").increment(1);
            gauge!("eclusa_config_generation").increment(1.0);
        });
        self.taken();
    }

    /// Another configuration is in force, by order and not by the file.
    pub(crate) fn amended(&self) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_config_generation").increment(1.0);
        });
    }

    /// A reload was refused: everything is as it was.
    pub fn reload_refused(&self) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_reloads_total", "outcome" => "refused").increment(1);
            gauge!("eclusa_last_reload_successful").set(0.0);
        });
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether the last reload was refused.
    pub(crate) fn is_reload_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// The file was refused at the start: what was in force before goes on.
    pub(crate) fn set_file_refused(&self) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_last_reload_successful").set(0.0);
            gauge!("eclusa_config_last_good").set(1.0);
        });
    }

    /// Whether what is in force still has to be confirmed.
    pub(crate) fn set_unconfirmed(&self, unconfirmed: bool) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_config_unconfirmed").set(if unconfirmed { 1.0 } else { 0.0 });
        });
    }

    /// What was in force before was put back, because somebody `ordered` it or nobody confirmed the
    /// other; `holds`: that is not what the file says.
    pub(crate) fn gone_back(&self, ordered: bool, holds: bool) {
        with_local_recorder(&self.control, || {
            let why = if ordered { "ordered" } else { "unconfirmed" };
            counter!("eclusa_rollbacks_total", "why" => why).increment(1);
            gauge!("eclusa_config_gone_back").set(if holds { 1.0 } else { 0.0 });
        });
    }

    /// An engine before this one had gone back.
    pub(crate) fn set_gone_back(&self) {
        with_local_recorder(&self.control, || gauge!("eclusa_config_gone_back").set(1.0));
    }

    /// A drill begins.
    pub(crate) fn drill_begins(&self, fault: Fault) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_drills_total", "fault" => fault.name()).increment(1);
            gauge!("eclusa_drill_on").set(1.0);
        });
    }

    /// The drill is over.
    pub(crate) fn drill_ends(&self) {
        with_local_recorder(&self.control, || gauge!("eclusa_drill_on").set(0.0));
    }

    /// The keeper had to start so many engines anew before this one.
    pub fn engine_restarts(&self, count: u64) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_engine_restarts_total").absolute(count);
        });
    }

    /// A stuck worker got a successor.
    pub fn worker_replaced(&self) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_workers_replaced_total").increment(1);
        });
    }

    /// So many clients may be at the socket that answers as HAProxy's does.
    pub(crate) fn set_haproxy_clients_max(&self, clients: u32) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_haproxy_socket_clients_max").set(f64::from(clients));
        });
    }

    /// A client came to that socket (1), or has gone (-1).
    pub(crate) fn haproxy_client(&self, change: f64) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_haproxy_socket_clients").increment(change);
        });
    }

    /// A client of that socket was cut.
    pub(crate) fn haproxy_client_cut(&self, why: Cut) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_haproxy_socket_cut_total", "reason" => why.word()).increment(1);
        });
    }

    /// The service stops.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether this host reaches an endpoint; `None`: nobody asks one.
    pub(crate) fn set_reach(&self, reaches: Option<bool>) {
        self.reach.store(reaches.map_or(-1, i8::from), Ordering::Relaxed);
    }

    /// Whether this host should hold the address that it shares.
    pub(crate) fn set_vip(&self, vip: bool) {
        self.vip.store(vip, Ordering::Relaxed);
    }

    /// The cells of a listener of this name.
    pub(crate) fn listener(&self, name: &Arc<str>) -> Arc<ListenerCells> {
        self.listeners.get(name, || ListenerCells::new(self.workers.len()))
    }

    /// The cells of a pool of this name.
    pub(crate) fn pool(&self, name: &Arc<str>) -> Arc<PoolCells> {
        self.pools.get(name, || PoolCells::new(self.workers.len()))
    }

    /// The worker `index` has ticked: it runs, and has so many pipes. `crowd`: how many of it wait for a turn,
    /// and how often one had to.
    pub(crate) fn tick(&self, index: usize, pipes: usize, crowd: (usize, u64)) {
        self.heartbeats.beat(index);
        if let Some(cell) = self.workers.get(index) {
            cell.pipes.set(pipes as u64);
            cell.crowd.set(crowd.0 as u64);
            cell.crowd_waits.set(crowd.1);
        }
    }

    /// The worker had to wait for a permit.
    pub(crate) fn limit_wait(&self, index: usize) {
        self.count(index, |cell| &cell.limit_waits);
    }

    /// The worker lacked something of this host.
    pub(crate) fn shortage(&self, index: usize) {
        self.count(index, |cell| &cell.shortages);
    }

    fn count(&self, index: usize, of: impl Fn(&WorkerCell) -> &Counter) {
        if let Some(cell) = self.workers.get(index) {
            of(cell).add(1);
        }
    }

    /// A session of the worker ended; the record is complete but for its end.
    pub(crate) fn ended(&self, worker: usize, record: &Record, end: &End) {
        record.cells.ended(worker, record, end);
        if let Some(pool) = &record.pool {
            pool.cells().ended(worker, record, end);
        }
    }
}

/// What lives under a name for as long as somebody holds it.
#[derive(Debug)]
struct ByName<T>(Mutex<BTreeMap<Arc<str>, Weak<T>>>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> ByName<T> {
    fn get(&self, name: &Arc<str>, make: impl FnOnce() -> T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name).and_then(Weak::upgrade) {
            return known;
        }
        // Names come and go with reloads: those that are gone are forgotten now and then.
        if known.len().is_power_of_two() {
            known.retain(|_, held| held.strong_count() > 0);
        }
        let made = Arc::new(make());
        known.insert(name.clone(), Arc::downgrade(&made));
        made
    }

    /// What there is, by name.
    fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(|(name, held)| Some((name.clone(), held.upgrade()?))).collect()
    }
}

/// A moment as seconds since 1970.
fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_while_the_name_is_held() {
        let metrics = Metrics::new(1, "eclusa-edge");
        let name: Arc<str> = "web".into();
        let first = metrics.pool(&name);
        first.replay_won(0, true);
        let second = metrics.pool(&name);
        assert!(Arc::ptr_eq(&first, &second), "a reload that keeps the name");
        drop((first, second));
        assert!(metrics.pools.all().is_empty());
        for n in 0..1000 {
            metrics.pool(&format!("pool-{n}").into());
        }
        assert!(metrics.pools.0.lock().unwrap().len() < 10, "names that are gone are forgotten");
    }
}
