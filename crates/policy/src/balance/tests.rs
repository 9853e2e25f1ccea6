//! Properties that every algorithm must have, and a few of each.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn pool() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(1_u16..=256, 1..12).prop_map(|weights| {
        (0..).zip(weights).map(|(slot, weight)| Candidate { slot, weight }).collect()
    })
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.map(|(_, algorithm)| algorithm).to_vec())
}

/// Picks `n` times while sessions never end; returns how many each slot took.
fn spread(picker: &mut dyn Balance, n: u32) -> HashMap<u32, u32> {
    let mut taken: HashMap<u32, u32> = HashMap::new();
    for _ in 0..n {
        let slot = picker.pick(&|slot| taken.get(&slot).copied().unwrap_or(0), &[]).unwrap();
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
        for _ in 0..40 {
            match picker.pick(&|slot| slot * load, &excluded) {
                None => prop_assert_eq!(excluded.len(), pool.len()),
                Some(slot) => {
                    prop_assert!((slot as usize) < pool.len() && !excluded.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn weights_are_kept_while_sessions_last(algorithm in algorithm(), pool in pool(), seed: u64) {
        let total: u32 = pool.iter().map(|c| u32::from(c.weight)).sum();
        let n = total.max(2000);
        let taken = spread(&mut *picker(algorithm, &pool, seed), n);
        for candidate in &pool {
            let due = f64::from(n) * f64::from(candidate.weight) / f64::from(total);
            let got = f64::from(taken.get(&candidate.slot).copied().unwrap_or(0));
            // Two choices among few and very unequal endpoints is random: a wider bound.
            let slack = if algorithm == Algorithm::RoundRobin { 2.0 } else { 6.0 + 0.1 * due };
            prop_assert!((got - due).abs() <= slack, "slot {}: {got}, due {due}", candidate.slot);
        }
    }
}

#[test]
fn round_robin_spreads_the_turns_of_a_heavy_endpoint() {
    let pool = [(0, 5), (1, 1), (2, 1)].map(|(slot, weight)| Candidate { slot, weight });
    let mut picker = picker(Algorithm::RoundRobin, &pool, 0);
    let order: Vec<_> = (0..14).filter_map(|_| picker.pick(&|_| 0, &[])).collect();
    assert_eq!(order, [0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 2, 0, 0]);
}

#[test]
fn an_excluded_endpoint_keeps_its_turn() {
    let pool = [0, 1].map(|slot| Candidate { slot, weight: 1 });
    let mut picker = picker(Algorithm::RoundRobin, &pool, 0);
    assert_eq!(picker.pick(&|_| 0, &[0]), Some(1));
    assert_eq!(picker.pick(&|_| 0, &[]), Some(0));
}

#[test]
fn two_choices_of_two_is_the_less_loaded_one() {
    let pool = [(0, 1), (1, 2)].map(|(slot, weight)| Candidate { slot, weight });
    let mut picker = picker(Algorithm::TwoChoices, &pool, 7);
    for _ in 0..50 {
        assert_eq!(picker.pick(&|slot| [4, 10][slot as usize], &[]), Some(0));
        assert_eq!(picker.pick(&|slot| [4, 8][slot as usize], &[]), Some(1));
    }
}

#[test]
fn candidates_come_in_tiers() {
    use Verdict::{Dead, Unknown, Up};
    let slots = |pool: &[(Verdict, bool)]| {
        let pool: Vec<_> =
            pool.iter().map(|&(verdict, backup)| Standing { verdict, weight: 1, backup }).collect();
        candidates(&pool).iter().map(|c| c.slot).collect::<Vec<_>>()
    };
    assert_eq!(slots(&[(Up, false), (Dead, false), (Unknown, false), (Up, true)]), [0]);
    assert_eq!(slots(&[(Dead, false), (Unknown, false), (Up, true)]), [2]);
    assert_eq!(slots(&[(Dead, false), (Unknown, false), (Unknown, true)]), [1]);
    assert_eq!(slots(&[(Dead, false), (Unknown, true)]), [1]);
    assert_eq!(slots(&[(Dead, false), (Dead, true)]), []);
}
