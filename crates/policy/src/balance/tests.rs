//! Properties that every algorithm must have, and a few of each.

use super::*;
use crate::time::Time;
use crate::verdict::Tier;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

fn pool() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(1_u16..=256, 1..12)
        .prop_map(|weights| (0..).zip(weights).map(|(slot, weight)| named(slot, weight)).collect())
}

/// A candidate whose identity depends on its slot alone.
fn named(slot: u32, weight: u16) -> Candidate {
    let address = SocketAddr::from(([10, 0, 0, 11], 6443 + slot as u16));
    Candidate { identity: identity_of(address), ..Candidate::new(slot, weight) }
}

fn client(n: u32) -> Option<IpAddr> {
    Some(IpAddr::from((0x0a01_0000 + n).to_be_bytes()))
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.map(|(_, algorithm)| algorithm).to_vec())
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

proptest! {
    #[test]
    fn only_candidates_that_are_not_excluded_are_picked(
        algorithm in algorithm(), pool in pool(), seed: u64, mask: u16, load in 0_u32..3,
    ) {
        let excluded: Vec<u32> =
            pool.iter().map(|c| c.slot).filter(|slot| mask >> slot & 1 == 1).collect();
        let mut picker = picker(algorithm, &pool, seed);
        let load = |slot| slot * load;
        for turn in 0..40 {
            let source = client(turn);
            match picker.pick(&Pick { excluded: &excluded, source, ..Pick::by_load(&load) }) {
                None => prop_assert_eq!(excluded.len(), pool.len()),
                Some(slot) => {
                    prop_assert!((slot as usize) < pool.len() && !excluded.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn nobody_gets_more_than_its_limit(
        algorithm in algorithm(), pool in pool(), seed: u64, limit in 1_u32..8,
    ) {
        let pool: Vec<_> =
            pool.into_iter().map(|c| Candidate { limit: Some(limit), ..c }).collect();
        let mut picker = picker(algorithm, &pool, seed);
        let mut taken: HashMap<u32, u32> = HashMap::new();
        for turn in 0..pool.len() as u32 * limit {
            let load = |slot| taken.get(&slot).copied().unwrap_or(0);
            let slot = picker.pick(&Pick { source: client(turn), ..Pick::by_load(&load) });
            prop_assert!(slot.is_some(), "somebody has room left");
            *taken.entry(slot.unwrap()).or_default() += 1;
        }
        prop_assert!(taken.values().all(|sessions| *sessions == limit));
        let load = |slot| taken.get(&slot).copied().unwrap_or(0);
        let pick = Pick { source: client(0), ..Pick::by_load(&load) };
        prop_assert_eq!(picker.pick(&pick), None);
        prop_assert!(pick.would_wait(&pool));
    }

    #[test]
    fn an_endpoint_that_leaves_moves_hardly_anybody_else(
        pool in pool(), seed: u64, gone in any::<prop::sample::Index>(),
    ) {
        prop_assume!(pool.len() > 1);
        let gone = pool[gone.index(pool.len())].slot;
        let rest: Vec<_> = pool.iter().copied().filter(|c| c.slot != gone).collect();
        let mut before = picker(Algorithm::SourceHash, &pool, seed);
        let mut after = picker(Algorithm::SourceHash, &rest, seed + 1);
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

    #[test]
    fn a_client_has_the_same_endpoint_on_every_host(pool in pool(), seeds: (u64, u64), by: usize) {
        let mut other_order = pool.clone();
        other_order.rotate_left(by % pool.len());
        let mut here = picker(Algorithm::SourceHash, &pool, seeds.0);
        let mut there = picker(Algorithm::SourceHash, &other_order, seeds.1);
        for n in 0..500 {
            let excluded: &[u32] = if n % 3 == 0 { &[1] } else { &[] };
            let pick = Pick { source: client(n), excluded, ..Pick::by_load(&|_| 0) };
            prop_assert_eq!(here.pick(&pick), there.pick(&pick));
        }
    }

    #[test]
    fn weights_are_kept_while_sessions_last(algorithm in algorithm(), pool in pool(), seed: u64) {
        prop_assume!(algorithm != Algorithm::First);
        let total: u32 = pool.iter().map(|c| u32::from(c.weight)).sum();
        let n = total.max(2000);
        let taken = spread(&mut *picker(algorithm, &pool, seed), n);
        for candidate in &pool {
            let due = f64::from(n) * f64::from(candidate.weight) / f64::from(total);
            let got = f64::from(taken.get(&candidate.slot).copied().unwrap_or(0));
            let slack = match algorithm {
                Algorithm::RoundRobin | Algorithm::LeastConnections => 2.0,
                // Two choices among few and very unequal endpoints is random: a wider bound. (The
                // clients of a hash are a random sample: five standard deviations.)
                _ => 6.0 + (0.1 * due).max(5.0 * due.sqrt()),
            };
            prop_assert!((got - due).abs() <= slack, "slot {}: {got}, due {due}", candidate.slot);
        }
    }
}

#[test]
fn round_robin_spreads_the_turns_of_a_heavy_endpoint() {
    let pool = [(0, 5), (1, 1), (2, 1)].map(|(slot, weight)| Candidate::new(slot, weight));
    let mut picker = picker(Algorithm::RoundRobin, &pool, 0);
    let order: Vec<_> = (0..14).filter_map(|_| picker.pick(&Pick::by_load(&|_| 0))).collect();
    assert_eq!(order, [0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 2, 0, 0]);
}

#[test]
fn an_excluded_endpoint_keeps_its_turn() {
    let pool = [0, 1].map(|slot| Candidate::new(slot, 1));
    let mut picker = picker(Algorithm::RoundRobin, &pool, 0);
    assert_eq!(picker.pick(&Pick { excluded: &[0], ..Pick::by_load(&|_| 0) }), Some(1));
    assert_eq!(picker.pick(&Pick::by_load(&|_| 0)), Some(0));
}

#[test]
fn an_endpoint_that_was_full_saves_no_turns_up() {
    let full = Candidate { limit: Some(1), ..Candidate::new(0, 1) };
    let mut picker = picker(Algorithm::RoundRobin, &[full, Candidate::new(1, 1)], 0);
    for _ in 0..100 {
        assert_eq!(picker.pick(&Pick::by_load(&|_| 1)), Some(1));
    }
    let again = (0..10).filter(|_| picker.pick(&Pick::by_load(&|_| 0)) == Some(0)).count();
    assert!(again <= 6, "{again} of 10");
}

#[test]
fn two_choices_of_two_is_the_less_loaded_one() {
    let pool = [(0, 1), (1, 2)].map(|(slot, weight)| Candidate::new(slot, weight));
    let mut picker = picker(Algorithm::TwoChoices, &pool, 7);
    for _ in 0..50 {
        assert_eq!(picker.pick(&Pick::by_load(&|slot| [4, 10][slot as usize])), Some(0));
        assert_eq!(picker.pick(&Pick::by_load(&|slot| [4, 8][slot as usize])), Some(1));
    }
}

/// How many of 3,000 short sessions the first endpoint gets, while 100 lasting ones stand on each
/// of the others.
fn share_of_a_returned(algorithm: Algorithm, now: Time) -> u32 {
    let ramp = Some(Ramp { from: Time::START, length: Duration::from_secs(60) });
    let mut pool = [0, 1, 2].map(|slot| named(slot, 1));
    pool[0].ramp = ramp;
    let mut picker = picker(algorithm, &pool, 3);
    let load = |slot| if slot == 0 { 0 } else { 100 };
    let picked =
        (0..3000).filter(|_| picker.pick(&Pick { now, ..Pick::by_load(&load) }) == Some(0));
    u32::try_from(picked.count()).unwrap()
}

#[test]
fn a_returned_endpoint_starts_slowly_and_is_not_flooded_afterwards() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::TwoChoices] {
        let at_first = share_of_a_returned(algorithm, Time::from_millis(1000));
        assert!((10..300).contains(&at_first), "{algorithm:?}: {at_first}");
        let after = share_of_a_returned(algorithm, Time::from_millis(61_000));
        assert!((500..1500).contains(&after), "{algorithm:?}: {after}");
    }
    let at_first = share_of_a_returned(Algorithm::LeastConnections, Time::from_millis(1000));
    assert!((10..600).contains(&at_first), "{at_first}");
}

#[test]
fn endpoints_that_came_up_together_do_not_wait_for_each_other() {
    let ramp = Some(Ramp { from: Time::START, length: Duration::from_secs(60) });
    let pool = [0, 1, 2].map(|slot| Candidate { ramp, ..named(slot, 1) });
    for (_, algorithm) in Algorithm::ALL {
        let mut picker = picker(algorithm, &pool, 1);
        let pick = Pick { source: client(1), ..Pick::by_load(&|_| 0) };
        assert!((0..100).all(|_| picker.pick(&pick).is_some()), "{algorithm:?}");
    }
}

#[test]
fn candidates_come_in_tiers() {
    let slots = |pool: &[(Tier, u8)]| {
        let standing = |&(tier, priority)| Standing { tier, priority, ..Standing::default() };
        let pool: Vec<_> = pool.iter().map(standing).collect();
        candidates(&pool).iter().map(|c| c.slot).collect::<Vec<_>>()
    };
    use Tier::{Closed, Draining, LastResort, Suspect, Unprobed, Up};
    assert_eq!(slots(&[(Up, 0), (Closed, 0), (Unprobed, 0), (Up, 1)]), [0]);
    assert_eq!(slots(&[(Closed, 0), (Unprobed, 0), (Up, 2), (Up, 1)]), [3]);
    assert_eq!(slots(&[(Closed, 0), (Unprobed, 0), (Unprobed, 1)]), [1]);
    assert_eq!(slots(&[(Closed, 0), (Unprobed, 1)]), [1]);
    assert_eq!(slots(&[(Suspect, 0), (Draining, 0), (Suspect, 0)]), [0, 2]);
    assert_eq!(slots(&[(LastResort, 0), (Draining, 1)]), [1]);
    assert_eq!(slots(&[(Closed, 0), (Closed, 1)]), []);
}
