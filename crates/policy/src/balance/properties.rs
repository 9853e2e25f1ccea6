//! What every algorithm must keep, whichever it is. A new one joins [`Algorithm::ALL`] and, unless
//! [`spreads`] or [`hashes`] says otherwise, every test here.

use super::*;
use crate::verdict::Tier;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Whether it spreads sessions over all candidates. `first` is there to do the opposite.
fn spreads(algorithm: Algorithm) -> bool {
    algorithm != Algorithm::First
}

/// Whether the client alone decides.
fn hashes(algorithm: Algorithm) -> bool {
    algorithm == Algorithm::SourceHash
}

fn all(applies: impl Fn(Algorithm) -> bool) -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.map(|(_, algorithm)| algorithm).into_iter().filter(move |a| applies(*a))
}

/// How far from what is due an endpoint may be after sessions that all last.
fn slack(algorithm: Algorithm, due: f64) -> f64 {
    match algorithm {
        Algorithm::RoundRobin | Algorithm::LeastConnections => 2.0,
        // Two choices among few and very unequal endpoints is random: a wider bound. (The clients
        // of a hash are a random sample: five standard deviations.)
        _ => 6.0 + (0.1 * due).max(5.0 * due.sqrt()),
    }
}

fn pool() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(1_u16..=256, 1..12)
        .prop_map(|weights| (0..).zip(weights).map(|(slot, weight)| named(slot, weight)).collect())
}

/// A candidate whose identity depends on its slot alone.
pub(super) fn named(slot: u32, weight: u16) -> Candidate {
    let address = SocketAddr::from(([10, 0, 0, 11], 6443 + slot as u16));
    Candidate { identity: identity_of(address), ..Candidate::new(slot, weight) }
}

pub(super) fn client(n: u32) -> Option<IpAddr> {
    Some(IpAddr::from((0x0a01_0000 + n).to_be_bytes()))
}

/// Picks `n` times, each for another client, while sessions never end; returns how many each slot
/// took.
fn spread(picker: &mut dyn Balance, n: u32) -> HashMap<u32, u32> {
    let mut taken: HashMap<u32, u32> = HashMap::new();
    for turn in 0..n {
        let load = |slot| taken.get(&slot).copied().unwrap_or(0);
        let pick = Pick { source: client(turn), ..Pick::by_load(&load) };
        let slot = picker.pick(&pick).unwrap();
        *taken.entry(slot).or_default() += 1;
    }
    taken
}

/// Everybody has what is due by weight.
fn everybody_has_its_due(
    algorithm: Algorithm,
    pool: &[Candidate],
    seed: u64,
    n: u32,
) -> Result<(), TestCaseError> {
    let total: u32 = pool.iter().map(|c| u32::from(c.weight)).sum();
    let taken = spread(&mut *picker(algorithm, pool, seed), n);
    for candidate in pool {
        let due = f64::from(n) * f64::from(candidate.weight) / f64::from(total);
        let got = f64::from(taken.get(&candidate.slot).copied().unwrap_or(0));
        let far = (got - due).abs() > slack(algorithm, due);
        prop_assert!(!far, "{algorithm:?}, slot {}: {got}, due {due}", candidate.slot);
    }
    Ok(())
}

fn standing() -> impl Strategy<Value = Standing> {
    let tier = prop::sample::select([Tier::USABLE.as_slice(), &[Tier::Closed]].concat());
    let limit = prop::option::of(0_u32..3);
    (tier, 0_u8..2, 1_u16..=256, limit, any::<u64>()).prop_map(
        |(tier, priority, weight, limit, identity)| Standing {
            tier,
            priority,
            weight,
            limit,
            identity,
            ramp: None,
        },
    )
}

proptest! {
    /// Equal endpoints get the same number of sessions.
    #[test]
    fn fairness(endpoints in 1_u32..12, seed: u64, weight in 1_u16..=256) {
        let pool: Vec<_> = (0..endpoints).map(|slot| named(slot, weight)).collect();
        for algorithm in all(spreads) {
            everybody_has_its_due(algorithm, &pool, seed, 2000)?;
        }
    }

    /// Unequal ones get them in proportion to their weights.
    #[test]
    fn weights(pool in pool(), seed: u64) {
        let total: u32 = pool.iter().map(|c| u32::from(c.weight)).sum();
        for algorithm in all(spreads) {
            everybody_has_its_due(algorithm, &pool, seed, total.max(2000))?;
        }
    }

    /// Nobody is picked who is no candidate, is excluded, or is at its limit; and somebody is
    /// picked as long as there is anybody else.
    #[test]
    fn no_pick_of_a_non_candidate(
        pool in prop::collection::vec(standing(), 1..12), seed: u64, mask: u16, load in 0_u32..3,
    ) {
        let candidates = candidates(&pool);
        let excluded: Vec<u32> = (0..12).filter(|slot| mask >> slot & 1 == 1).collect();
        // What weighs as load and what takes places are two things.
        let (load, taken) = (|slot: u32| slot * load, |slot: u32| slot % 3);
        let allowed = |slot: u32| {
            let candidate = candidates.iter().find(|candidate| candidate.slot == slot);
            candidate.is_some_and(|candidate| candidate.limit.is_none_or(|l| taken(slot) < l))
                && !excluded.contains(&slot)
        };
        let anybody = (0..12).any(allowed);
        for algorithm in all(|_| true) {
            let mut picker = picker(algorithm, &candidates, seed);
            for turn in 0..40 {
                let pick = Pick {
                    load: &load,
                    taken: &taken,
                    excluded: &excluded,
                    source: client(turn),
                    key: None,
                    now: crate::time::Time::START,
                };
                let picked = picker.pick(&pick);
                prop_assert_eq!(picked.is_some(), anybody, "{:?}", algorithm);
                prop_assert!(picked.is_none_or(allowed), "{algorithm:?}: {picked:?}");
            }
        }
    }

    /// Nobody ever has more than its limit, and every place is put to use.
    #[test]
    fn limits(pool in pool(), seed: u64, limit in 1_u32..8) {
        let pool: Vec<_> =
            pool.into_iter().map(|c| Candidate { limit: Some(limit), ..c }).collect();
        for algorithm in all(|_| true) {
            let mut picker = picker(algorithm, &pool, seed);
            let taken = spread(&mut *picker, pool.len() as u32 * limit);
            prop_assert!(taken.values().all(|sessions| *sessions == limit), "{algorithm:?}");
            let load = |slot| taken.get(&slot).copied().unwrap_or(0);
            let pick = Pick { source: client(0), ..Pick::by_load(&load) };
            prop_assert_eq!(picker.pick(&pick), None);
            prop_assert!(pick.would_wait(&pool));
        }
    }

    /// When an endpoint leaves, hardly anybody but its own clients moves.
    #[test]
    fn little_movement_when_an_endpoint_leaves(
        pool in pool(), seed: u64, gone in any::<prop::sample::Index>(),
    ) {
        prop_assume!(pool.len() > 1);
        let gone = pool[gone.index(pool.len())].slot;
        let rest: Vec<_> = pool.iter().copied().filter(|c| c.slot != gone).collect();
        for algorithm in all(hashes) {
            let mut before = picker(algorithm, &pool, seed);
            let mut after = picker(algorithm, &rest, seed.wrapping_add(1));
            let (mut moved, mut stayed) = (0, 0);
            for n in 0..2000 {
                let pick = Pick { source: client(n), ..Pick::by_load(&|_| 0) };
                let (from, to) = (before.pick(&pick).unwrap(), after.pick(&pick).unwrap());
                prop_assert_ne!(to, gone);
                match from {
                    from if from == gone => {}
                    from if from == to => stayed += 1,
                    _ => moved += 1,
                }
            }
            // A heavy endpoint's leaving lets the others take more of their turns: a tenth at most.
            prop_assert!(moved * 10 <= moved + stayed, "{moved} of {} moved", moved + stayed);
        }
    }

    /// Two instances that know nothing of each other, with another seed and the endpoints in
    /// another order, give a client the same endpoint.
    #[test]
    fn maglev_is_equal_on_two_instances(pool in pool(), seeds: (u64, u64), by: usize) {
        let mut other_order = pool.clone();
        other_order.rotate_left(by % pool.len());
        for algorithm in all(hashes) {
            let mut here = picker(algorithm, &pool, seeds.0);
            let mut there = picker(algorithm, &other_order, seeds.1);
            for n in 0..500 {
                let excluded: &[u32] = if n % 3 == 0 { &[1] } else { &[] };
                let pick = Pick { source: client(n), excluded, ..Pick::by_load(&|_| 0) };
                prop_assert_eq!(here.pick(&pick), there.pick(&pick));
            }
        }
    }
}
