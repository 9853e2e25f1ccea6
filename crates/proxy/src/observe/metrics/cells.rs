//! What workers count: one block per worker, and per worker inside each listener and pool. Only
//! its worker writes a block, with relaxed stores, on cache lines of its own; whoever wants a sum
//! adds them up.

use super::exchanges::{ListenerHttp, PoolHttp};
use super::histogram::{ANSWERS, Counter, Histogram, ROUND_TRIPS, SESSIONS};
use crate::observe::{End, HOWS, Record, Step, TcpSide, Who};
use crate::pool::Queued;
use eclusa_policy::replay::Refusal;
use std::sync::OnceLock;

/// A block per worker, each there from its worker's first use on: ten thousand pools of which few
/// carry traffic must not cost ten thousand blocks.
#[derive(Debug)]
pub(crate) struct PerWorker<T>(Box<[OnceLock<Box<T>>]>);

impl<T: Default> PerWorker<T> {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| OnceLock::new()).collect())
    }

    /// The worker's own block.
    pub(super) fn of(&self, worker: usize) -> Option<&T> {
        self.0.get(worker).map(|cell| &**cell.get_or_init(Box::default))
    }

    /// The blocks that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|cell| cell.get().map(|block| &**block))
    }

    /// What `of` yields of all blocks, added up.
    pub(crate) fn sum(&self, of: impl Fn(&T) -> &Counter) -> u64 {
        self.iter().map(|block| of(block).get()).sum()
    }
}

/// How sessions ended: by whom, at which step, how.
#[derive(Debug, Default)]
pub(crate) struct Ends([[[Counter; HOWS.len()]; Step::ALL.len()]; Who::ALL.len()]);

impl Ends {
    pub(super) fn count(&self, end: &End) {
        let (who, step, how) = end.indices();
        let cell = self.0.get(who).and_then(|steps| steps.get(step)).and_then(|all| all.get(how));
        if let Some(cell) = cell {
            cell.add(1);
        }
    }

    pub(crate) fn get(&self, (who, step, how): (usize, usize, usize)) -> &Counter {
        static NONE: Counter = Counter::new();
        let cell = self.0.get(who).and_then(|steps| steps.get(step)).and_then(|all| all.get(how));
        cell.unwrap_or(&NONE)
    }
}

/// What one worker counts beside its sessions.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerCell {
    pub(crate) pipes: Counter,
    /// Those of the crowd that wait for a turn.
    pub(crate) crowd: Counter,
    pub(crate) crowd_waits: Counter,
    pub(crate) limit_waits: Counter,
    pub(crate) shortages: Counter,
    pub(crate) idle_connections: Counter,
}

/// What one worker counts of a listener.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ListenerCell {
    pub(crate) accepted: Counter,
    pub(crate) ends: Ends,
    /// Up and down.
    pub(crate) bytes: [Counter; 2],
    pub(crate) preamble: Histogram,
    pub(crate) total: Histogram,
    pub(super) http: OnceLock<Box<ListenerHttp>>,
}

/// What one worker counts of a pool.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct PoolCell {
    pub(crate) ends: Ends,
    /// Up and down.
    pub(crate) bytes: [Counter; 2],
    pub(crate) dial: Histogram,
    pub(crate) redials: Counter,
    /// By [`Queued`].
    pub(crate) queued: [Counter; Queued::NAMES.len()],
    pub(crate) queue: Histogram,
    pub(crate) moved: Counter,
    pub(crate) first_byte: Histogram,
    pub(crate) replays: Counter,
    /// Won by the first endpoint, by the second.
    pub(crate) replays_won: [Counter; 2],
    /// Refused for the budget, for a slow pool.
    pub(crate) replays_refused: [Counter; 2],
    pub(crate) retries: Counter,
    pub(crate) hedges: Counter,
    /// Won by the first endpoint, by the second.
    pub(crate) hedges_won: [Counter; 2],
    /// Refused for the budget, for a slow pool.
    pub(crate) retries_refused: [Counter; 2],
    /// Towards the client, towards the endpoint.
    pub(crate) retransmits: [Counter; 2],
    pub(crate) rtt: [Histogram; 2],
    pub(super) http: OnceLock<Box<PoolHttp>>,
}

/// What the workers count of a listener.
pub(crate) type ListenerCells = PerWorker<ListenerCell>;

impl ListenerCells {
    /// A session began.
    pub(crate) fn accepted(&self, worker: usize) {
        if let Some(cell) = self.of(worker) {
            cell.accepted.add(1);
        }
    }

    /// Sessions that began and did not end.
    pub(crate) fn open(&self) -> u64 {
        let ended = |cell: &ListenerCell| -> u64 {
            cell.ends.0.iter().flatten().flatten().map(Counter::get).sum()
        };
        let ended: u64 = self.iter().map(ended).sum();
        // What ended was counted first: between the two sums more may only have begun.
        self.sum(|cell| &cell.accepted).saturating_sub(ended)
    }

    /// A session ended.
    pub(super) fn ended(&self, worker: usize, record: &Record, end: &End) {
        let Some(cell) = self.of(worker) else { return };
        cell.ends.count(end);
        cell.bytes[0].add(record.bytes_up);
        cell.bytes[1].add(record.bytes_down);
        if end.is_after_preamble() {
            cell.preamble.record(&ANSWERS, record.preamble);
        }
        cell.total.record(&SESSIONS, record.total);
    }
}

/// What the workers count of a pool.
#[derive(Debug)]
pub(crate) struct PoolCells {
    pub(crate) workers: PerWorker<PoolCell>,
    pub(crate) probing: super::probing::ProbingCell,
}

impl PoolCells {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: PerWorker::new(workers), probing: Default::default() }
    }

    /// A session ended that a route gave to the pool.
    pub(super) fn ended(&self, worker: usize, record: &Record, end: &End) {
        let Some(cell) = self.workers.of(worker) else { return };
        cell.ends.count(end);
        cell.bytes[0].add(record.bytes_up);
        cell.bytes[1].add(record.bytes_down);
        cell.redials.add(u64::from(record.tries.saturating_sub(1)));
        if end.is_after_dial() {
            cell.dial.record(&ANSWERS, record.dial);
        }
        if !record.queue.is_zero() {
            cell.queue.record(&ANSWERS, record.queue);
        }
        if end.is_rebalance() {
            cell.moved.add(1);
        }
        if let Some(first_byte) = record.first_byte {
            cell.first_byte.record(&ANSWERS, first_byte.saturating_sub(record.preamble));
        }
        for (index, side) in record.tcp.iter().enumerate() {
            let Some(TcpSide { rtt_us, retransmits }) = *side else { continue };
            cell.retransmits[index].add(retransmits.into());
            cell.rtt[index].record(&ROUND_TRIPS, std::time::Duration::from_micros(rtt_us.into()));
        }
    }

    /// A session had to wait for a place, or would have.
    pub(crate) fn queued(&self, worker: usize, outcome: Queued) {
        if let Some(cell) = self.workers.of(worker) {
            cell.queued[outcome as usize].add(1);
        }
    }

    /// A first flight was late: it was replayed, or may not be.
    pub(crate) fn replay(&self, worker: usize, begun: Result<(), Refusal>) {
        let Some(cell) = self.workers.of(worker) else { return };
        match begun {
            Ok(()) => cell.replays.add(1),
            Err(Refusal::Budget) => cell.replays_refused[0].add(1),
            Err(Refusal::PoolIsSlow) => cell.replays_refused[1].add(1),
        }
    }

    /// A request was to have a second try, or a rival (`hedge`).
    pub(crate) fn second_try(&self, worker: usize, hedge: bool, begun: Result<(), Refusal>) {
        let Some(cell) = self.workers.of(worker) else { return };
        match begun {
            Ok(()) if hedge => cell.hedges.add(1),
            Ok(()) => cell.retries.add(1),
            Err(Refusal::Budget) => cell.retries_refused[0].add(1),
            Err(Refusal::PoolIsSlow) => cell.retries_refused[1].add(1),
        }
    }

    /// A hedged request was answered.
    pub(crate) fn hedge_won(&self, worker: usize, by_second: bool) {
        if let Some(cell) = self.workers.of(worker) {
            cell.hedges_won[usize::from(by_second)].add(1);
        }
    }

    /// A replay was answered.
    pub(crate) fn replay_won(&self, worker: usize, by_second: bool) {
        if let Some(cell) = self.workers.of(worker) {
            cell.replays_won[usize::from(by_second)].add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_workers_share_no_cache_line_and_idle_ones_do_not_exist() {
        assert_eq!(align_of::<WorkerCell>(), 128);
        assert_eq!(align_of::<ListenerCell>(), 128);
        assert_eq!(align_of::<PoolCell>(), 128);
        let cells = ListenerCells::new(4);
        cells.accepted(2);
        cells.accepted(2);
        cells.accepted(7);
        assert_eq!(cells.iter().count(), 1);
        assert_eq!(cells.sum(|cell| &cell.accepted), 2);
    }
}
