//! How pools stand, and what was counted of them.

use super::Page;
use super::listeners::{DIRECTIONS, by_word, ends, histogram};
use crate::observe::View;
use crate::observe::metrics::cells::PoolCell;
use crate::observe::metrics::histogram::{ANSWERS, Counter, Histogram, ROUND_TRIPS};
use crate::observe::metrics::probing::{CAUSES, KINDS, ProbingCell, WAYS};
use crate::observe::metrics::table::{self, Metric};
use crate::observe::view::Standing;
use crate::pool::{Pool, Queued};
use eclusa_policy::verdict::Verdict;
use std::sync::Arc;

/// The sides of a session, as the label names them.
const SIDES: [&str; 2] = ["client", "endpoint"];

/// A figure of a pool.
type Value = fn(&Standing) -> usize;

pub(super) fn write(page: &mut Page, view: &View) {
    standings(page, view);
    let pools = &view.pools;
    page.family(&table::POOL_ENDED);
    for pool in pools.iter() {
        ends(page, &table::POOL_ENDED, name_of(pool), &pool.cells().workers, |cell| &cell.ends);
    }
    words(page, pools, &table::POOL_BYTES, DIRECTIONS, |cell| &cell.bytes);
    histograms(page, pools, &table::DIAL, |cell| &cell.dial);
    single(page, pools, &table::REDIALS, |cell| &cell.redials);
    page.family(&table::WAITING);
    for pool in pools.iter() {
        page.sample(&table::WAITING, &[name_of(pool)], pool.waiting());
    }
    page.family(&table::WAITING_MAX);
    for pool in pools.iter() {
        page.sample(&table::WAITING_MAX, &[name_of(pool)], pool.plan().queue.length);
    }
    words(page, pools, &table::QUEUED, Queued::NAMES, |cell| &cell.queued);
    histograms(page, pools, &table::QUEUE_TIME, |cell| &cell.queue);
    single(page, pools, &table::MOVED, |cell| &cell.moved);
    histograms(page, pools, &table::FIRST_BYTE, |cell| &cell.first_byte);
    single(page, pools, &table::REPLAYS, |cell| &cell.replays);
    words(page, pools, &table::REPLAYS_WON, ["first", "second"], |cell| &cell.replays_won);
    words(page, pools, &table::REPLAYS_REFUSED, ["budget", "slow"], |cell| &cell.replays_refused);
    single(page, pools, &table::RETRIES, |cell| &cell.retries);
    single(page, pools, &table::HEDGES, |cell| &cell.hedges);
    words(page, pools, &table::HEDGES_WON, ["first", "second"], |cell| &cell.hedges_won);
    words(page, pools, &table::RETRIES_REFUSED, ["budget", "slow"], |cell| &cell.retries_refused);
    words(page, pools, &table::RETRANSMITS, SIDES, |cell| &cell.retransmits);
    page.family(&table::RTT);
    for pool in pools.iter() {
        for (index, side) in SIDES.into_iter().enumerate() {
            let (labels, cells) = ([name_of(pool), side], &pool.cells().workers);
            histogram(page, &table::RTT, &labels, &ROUND_TRIPS, cells, |cell| &cell.rtt[index]);
        }
    }
    let verdicts = Verdict::ALL.map(Verdict::name);
    probing(page, pools, &table::VERDICT_CHANGES, verdicts, |cell| &cell.verdicts);
    probing(page, pools, &table::PROBES, WAYS, |cell| &cell.ways);
    probing(page, pools, &table::EVIDENCE, KINDS, |cell| &cell.evidence);
    probing(page, pools, &table::VOID, CAUSES, |cell| &cell.void);
    page.family(&table::RESETS);
    for pool in pools.iter() {
        let count = pool.cells().probing.resets.get();
        page.sample(&table::RESETS, &[name_of(pool)], count);
    }
}

fn standings(page: &mut Page, view: &View) {
    let standings: Vec<_> = view.pools.iter().map(|pool| (pool, view.standing(pool))).collect();
    let told: [(&Metric, Value); 6] = [
        (&table::POOL_AVAILABLE, |standing| usize::from(standing.is_available())),
        (&table::POOL_PANIC, |standing| usize::from(standing.panic)),
        (&table::POOL_CORRELATED, |standing| usize::from(standing.correlated)),
        (&table::POOL_ENDPOINTS, |standing| standing.endpoints),
        (&table::POOL_READY, |standing| standing.ready),
        (&table::POOL_CAN_LOSE, |standing| standing.can_lose),
    ];
    for (metric, value) in told {
        page.family(metric);
        for (pool, standing) in &standings {
            page.sample(metric, &[name_of(pool)], value(standing));
        }
    }
}

fn single(
    page: &mut Page,
    pools: &[Arc<Pool>],
    metric: &Metric,
    of: impl Fn(&PoolCell) -> &Counter,
) {
    page.family(metric);
    for pool in pools.iter() {
        page.sample(metric, &[name_of(pool)], pool.cells().workers.sum(&of));
    }
}

fn words<const N: usize>(
    page: &mut Page,
    pools: &[Arc<Pool>],
    metric: &Metric,
    words: [&str; N],
    of: impl Fn(&PoolCell) -> &[Counter; N],
) {
    page.family(metric);
    for pool in pools.iter() {
        by_word(page, metric, name_of(pool), &pool.cells().workers, words, &of);
    }
}

fn histograms(
    page: &mut Page,
    pools: &[Arc<Pool>],
    metric: &Metric,
    of: impl Fn(&PoolCell) -> &Histogram,
) {
    page.family(metric);
    for pool in pools.iter() {
        histogram(page, metric, &[name_of(pool)], &ANSWERS, &pool.cells().workers, &of);
    }
}

fn probing<const N: usize>(
    page: &mut Page,
    pools: &[Arc<Pool>],
    metric: &Metric,
    words: [&str; N],
    of: impl Fn(&ProbingCell) -> &[Counter; N],
) {
    page.family(metric);
    for pool in pools.iter() {
        let counters = of(&pool.cells().probing);
        for (word, counter) in words.iter().zip(counters) {
            page.sample(metric, &[name_of(pool), word], counter.get());
        }
    }
}

fn name_of(pool: &Pool) -> &str {
    pool.name()
}
