//! The program, its workers, its limits.

use super::Page;
use crate::observe::View;
use crate::observe::metrics::cells::WorkerCell;
use crate::observe::metrics::process::Process;
use crate::observe::metrics::table::{self, Metric};
use crate::observe::metrics::{Metrics, seconds};
use crate::relay::PIPES;
use std::sync::atomic::Ordering;

/// What this part tells of the control side.
static CONTROL: [&Metric; 11] = [
    &table::ENGINE_RESTARTS,
    &table::RELOADS,
    &table::RELOAD_SUCCESSFUL,
    &table::RELOAD_TIME,
    &table::GENERATION,
    &table::LAST_GOOD,
    &table::UNCONFIRMED,
    &table::GONE_BACK,
    &table::ROLLBACKS,
    &table::DRILL_ON,
    &table::DRILLS,
];

/// What `observe` finds.
static OBSERVED: [&Metric; 6] = [
    &table::OBSERVE_WOULD,
    &table::OBSERVE_COMPARED,
    &table::OBSERVE_DIFFERING,
    &table::OBSERVE_DISAGREEMENTS,
    &table::OBSERVE_NOTICED,
    &table::OBSERVE_READS,
];

pub(super) fn write(page: &mut Page, metrics: &Metrics, view: &View) {
    control(page, metrics, &table::BUILD_INFO);
    process(page, metrics);
    page.single(&table::STOPPING, u8::from(metrics.is_stopping()));
    for metric in CONTROL {
        control(page, metrics, metric);
    }
    for metric in [&table::DASHBOARD_OPEN, &table::DASHBOARD_OPEN_MAX, &table::DASHBOARD_REFUSED] {
        control(page, metrics, metric);
    }
    workers(page, metrics, view);
    limits(page, metrics, view);
}

/// Whether this host reaches its endpoints, and holds the address that it shares.
pub(super) fn write_reach(page: &mut Page, metrics: &Metrics) {
    page.single(&table::REACH, metrics.reach.load(Ordering::Relaxed));
    page.single(&table::VIP, u8::from(metrics.vip.load(Ordering::Relaxed)));
}

/// There is nothing of it where traffic is carried.
pub(super) fn write_observed(page: &mut Page, metrics: &Metrics) {
    OBSERVED.iter().for_each(|metric| control(page, metrics, metric));
}

fn control(page: &mut Page, metrics: &Metrics, metric: &Metric) {
    page.family(metric);
    for (labels, value) in metrics.control.samples(metric) {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        page.sample(metric, &labels, value);
    }
}

fn process(page: &mut Page, metrics: &Metrics) {
    page.single(&table::START_TIME, seconds(metrics.began));
    page.single(&table::CPU, Process::processor_time().as_secs_f64());
    let known = [
        (&table::MEMORY, metrics.process.memory()),
        (&table::OPEN_FDS, metrics.process.descriptors()),
        (&table::MAX_FDS, Process::descriptors_max()),
    ];
    for (metric, value) in known {
        page.family(metric);
        if let Some(value) = value {
            page.sample(metric, &[], value);
        }
    }
}

/// A figure of one worker.
type OfWorker = fn(&WorkerCell) -> u64;

fn workers(page: &mut Page, metrics: &Metrics, view: &View) {
    page.family(&table::HEARTBEAT_AGE);
    for (worker, age) in metrics.heartbeats.ages().enumerate() {
        page.sample(&table::HEARTBEAT_AGE, &[&worker.to_string()], age.as_secs_f64());
    }
    page.family(&table::WORKER_SESSIONS);
    for (worker, sessions) in view.sessions.iter().enumerate() {
        page.sample(&table::WORKER_SESSIONS, &[&worker.to_string()], sessions);
    }
    let cells: [(_, OfWorker); 3] = [
        (&table::WORKER_PIPES, |cells| cells.pipes.get()),
        (&table::CROWD, |cells| cells.crowd.get()),
        (&table::CROWD_WAITS, |cells| cells.crowd_waits.get()),
    ];
    for (metric, value) in cells {
        page.family(metric);
        for (worker, cells) in metrics.workers.iter().enumerate() {
            page.sample(metric, &[&worker.to_string()], value(cells));
        }
    }
    control(page, metrics, &table::WORKERS_REPLACED);
}

fn limits(page: &mut Page, metrics: &Metrics, view: &View) {
    page.single(&table::SESSIONS, view.permits);
    page.single(&table::SESSIONS_MAX, view.sessions_max);
    let cells = || metrics.workers.iter();
    page.single(&table::LIMIT_WAITS, cells().map(|cell| cell.limit_waits.get()).sum::<u64>());
    page.single(&table::SHORTAGES, cells().map(|cell| cell.shortages.get()).sum::<u64>());
    for metric in [&table::HAPROXY_CLIENTS, &table::HAPROXY_CLIENTS_MAX, &table::HAPROXY_CUT] {
        control(page, metrics, metric);
    }
    page.single(&table::PIPES_MAX, PIPES);
    let queues = [("log", view.log_queue), ("signals", view.signals)];
    page.family(&table::QUEUE);
    for (name, (length, _)) in queues {
        page.sample(&table::QUEUE, &[name], length);
    }
    page.family(&table::QUEUE_MAX);
    for (name, (_, max)) in queues {
        page.sample(&table::QUEUE_MAX, &[name], max);
    }
    page.single(&table::LOG_DROPPED, view.log_dropped);
    let (followers, cut) = view.followers;
    page.single(&table::FOLLOWERS, followers);
    page.single(&table::FOLLOWERS_CUT, cut);
}
