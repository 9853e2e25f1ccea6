//! What each algorithm does in particular.

use super::properties::{client, named};
use super::*;
use crate::time::Time;
use crate::verdict::Tier;
use std::time::Duration;

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

/// Between a pick that finds everybody at the limit and the question whether to wait, another worker
/// gives a place back.
#[test]
fn a_place_that_came_meanwhile_is_no_reason_to_turn_away() {
    let candidates = [Candidate { limit: Some(1), ..Candidate::new(0, 1) }];
    for (_, algorithm) in Algorithm::ALL {
        let taken = std::cell::Cell::new(1);
        let look = |_| taken.get();
        let pick = Pick::by_load(&look);
        assert_eq!(picker(algorithm, &candidates, 0).pick(&pick), None);
        taken.set(0);
        assert!(pick.would_wait(&candidates), "{algorithm:?}");
    }
}

#[test]
fn a_key_decides_in_place_of_the_client() {
    let candidates: Vec<_> = (0..5).map(|slot| Candidate::new(slot, 1)).collect();
    let mut picker = picker(Algorithm::SourceHash, &candidates, 1);
    let mut seen = std::collections::HashSet::new();
    for user in 0..200_u32 {
        let key = Some(hash_of(format!("user-{user}").as_bytes()));
        let picks = (0..20_u8).map(|last| {
            let source = Some(std::net::IpAddr::from([192, 0, 2, last]));
            picker.pick(&Pick { key, source, ..Pick::by_load(&|_| 0) })
        });
        let picks: std::collections::HashSet<_> = picks.collect();
        assert_eq!(picks.len(), 1, "one key, one endpoint, whoever asks");
        seen.extend(picks);
    }
    assert_eq!(seen.len(), 5, "keys are spread");
}
