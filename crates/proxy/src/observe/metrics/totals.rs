//! What workers counted, added up to plain numbers: for those who tell it in other words.

use super::cells::{Ends, ListenerCells, PerWorker, PoolCells};
use super::exchanges::{ByReason, CLASSES, Handshake};
use super::process::Process;
use super::{Metrics, seconds};
use crate::observe::{HOWS, Step, Who};
use crate::relay::PIPES;
use std::time::Duration;

/// What was counted of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListenerTotals {
    /// Sessions that began, and those that stand.
    pub(crate) accepted: u64,
    pub(crate) open: u64,
    /// Up and down.
    pub(crate) bytes: [u64; 2],
    /// Sessions that the access list sent away.
    pub(crate) denied: u64,
    /// Sessions that ended before their first bytes were complete.
    pub(crate) in_preamble: u64,
    /// Of HTTP and TLS, where anything of them was counted.
    pub(crate) http: Option<HttpTotals>,
}

/// What was counted of TLS and HTTP at a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HttpTotals {
    /// Exchanges without an answer, then by class of its status: 1xx to 5xx.
    pub(crate) statuses: [u64; CLASSES.len()],
    /// Requests that the codec refused.
    pub(crate) refused: u64,
    /// Handshakes: done in full, resumed, failed.
    pub(crate) handshakes: [u64; 3],
}

/// What was counted of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolTotals {
    /// Sessions that ended.
    pub(crate) ended: u64,
    /// Sessions and exchanges that the client broke off while bytes moved, and those that the endpoint
    /// did.
    pub(crate) aborts: [u64; 2],
    /// Up and down.
    pub(crate) bytes: [u64; 2],
    /// Dials beside the first of a session.
    pub(crate) redials: u64,
    /// Requests that were tried again.
    pub(crate) retries: u64,
    /// Of HTTP, where anything of it was counted: exchanges that ended, those on kept connections,
    /// answers that the codec refused.
    pub(crate) http: Option<[u64; 3]>,
}

/// What is known of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ProgramTotals {
    /// Workers.
    pub(crate) workers: usize,
    /// Pipes that workers have, and how many there may be.
    pub(crate) pipes: u64,
    pub(crate) pipes_max: usize,
    /// Descriptors that the process may have open, where that is known.
    pub(crate) descriptors_max: Option<u64>,
    /// When it began, in seconds since 1970, and how long ago that was.
    pub(crate) began: f64,
    pub(crate) up: Duration,
}

impl Metrics {
    /// What is known of the program.
    pub(crate) fn program(&self) -> ProgramTotals {
        ProgramTotals {
            workers: self.workers.len(),
            pipes: self.workers.iter().map(|cell| cell.pipes.get()).sum(),
            pipes_max: PIPES,
            descriptors_max: Process::descriptors_max(),
            began: seconds(self.began),
            up: self.began.elapsed().unwrap_or_default(),
        }
    }
}

impl ListenerCells {
    /// All workers' figures, added up.
    pub(crate) fn totals(&self) -> ListenerTotals {
        ListenerTotals {
            accepted: self.sum(|cell| &cell.accepted),
            open: self.open(),
            bytes: [0, 1].map(|way| self.sum(|cell| &cell.bytes[way])),
            denied: ends(self, |cell| &cell.ends, |_, step, _| step == Step::Access),
            in_preamble: ends(self, |cell| &cell.ends, |_, step, _| step == Step::Preamble),
            http: self.has_http().then(|| self.http_totals()),
        }
    }

    fn http_totals(&self) -> HttpTotals {
        let mut totals = HttpTotals::default();
        for cell in self.iter() {
            let http = cell.http_so_far();
            for (sum, counter) in totals.statuses.iter_mut().zip(&http.statuses) {
                *sum += counter.get();
            }
            totals.refused += all(&http.refused);
            for (outcome, counter) in http.handshakes.iter().enumerate() {
                let place = match outcome {
                    full if full == Handshake::Full as usize => 0,
                    resumed if resumed == Handshake::Resumed as usize => 1,
                    _ => 2,
                };
                totals.handshakes[place] += counter.get();
            }
        }
        totals
    }
}

impl PoolCells {
    /// Sessions that ended because their endpoint was found dead.
    pub(crate) fn cut(&self) -> u64 {
        ends(&self.workers, |cell| &cell.ends, |_, _, how| how == "endpoint_down")
    }

    /// Sessions and exchanges that reached no endpoint, although their clients waited.
    pub(crate) fn unserved(&self) -> u64 {
        let is_it =
            |by, step, _: &str| matches!(step, Step::Queue | Step::Dial) && by != Who::Client;
        let of_http = ends(&self.workers, |cell| &cell.http_so_far().ends, is_it);
        ends(&self.workers, |cell| &cell.ends, is_it) + of_http
    }

    /// All workers' figures, added up.
    pub(crate) fn totals(&self) -> PoolTotals {
        let workers = &self.workers;
        let broken = |who| {
            let is_it = |by, step, how: &str| by == who && step == Step::Data && how != "clean";
            let of_http = ends(workers, |cell| &cell.http_so_far().ends, is_it);
            ends(workers, |cell| &cell.ends, is_it) + of_http
        };
        let http = || {
            let exchanges = ends(workers, |cell| &cell.http_so_far().ends, |_, _, _| true);
            let reused = workers.sum(|cell| &cell.http_so_far().reused);
            let refused = workers.iter().map(|cell| all(&cell.http_so_far().refused)).sum();
            [exchanges, reused, refused]
        };
        PoolTotals {
            ended: ends(workers, |cell| &cell.ends, |_, _, _| true),
            aborts: [Who::Client, Who::Endpoint].map(broken),
            bytes: [0, 1].map(|way| workers.sum(|cell| &cell.bytes[way])),
            redials: workers.sum(|cell| &cell.redials),
            retries: workers.sum(|cell| &cell.retries),
            http: self.has_http().then(http),
        }
    }
}

/// How many ended as `wanted` says: by whom, at which step, how.
fn ends<T: Default>(
    cells: &PerWorker<T>,
    of: impl Fn(&T) -> &Ends,
    wanted: impl Fn(Who, Step, &str) -> bool,
) -> u64 {
    let mut sum = 0;
    for (who, by) in Who::ALL.into_iter().enumerate() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            for (how, word) in HOWS.into_iter().enumerate() {
                if wanted(by, step, word) {
                    sum += cells.sum(|cell| of(cell).get((who, at, how)));
                }
            }
        }
    }
    sum
}

fn all(counters: &ByReason) -> u64 {
    counters.counters().iter().map(super::histogram::Counter::get).sum()
}
