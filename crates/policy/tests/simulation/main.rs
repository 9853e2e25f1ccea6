//! The simulator: pools, endpoints with faults, a network and clients under virtual time, driving
//! the real code of `eclusa-policy`.
//!
//! A seed decides everything: faults, latencies, arrivals. `ECLUSA_SEEDS=5000` runs so many seeds
//! instead of 256; a seed that fails is printed with the command that replays it, with its story
//! (`ECLUSA_SEED=`). The invariants are in `invariants`; `mutant` holds deliberate mistakes, each
//! of which an invariant must catch, or it is worth nothing.
//!
//! Start reading at `world`: the clock and the events; then `prober` and `traffic`, which drive
//! the policy as the probe thread and the workers do.

mod fault;
mod invariants;
mod mutant;
mod prober;
mod traffic;
mod world;

use invariants::Violation;
use mutant::Mutant;
use world::{Statistics, World};

/// Seeds in a plain `cargo test`.
const SEEDS: u64 = 256;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn run(seed: u64, mutant: Mutant, story: bool) -> (Statistics, Option<Violation>) {
    World::new(seed, mutant, story).run()
}

#[test]
fn every_seed_keeps_the_invariants() {
    if let Some(seed) = number("ECLUSA_SEED") {
        let (statistics, violation) = run(seed, Mutant::None, true);
        println!("{statistics:?}");
        if let Some(violation) = violation {
            panic!("seed {seed}: {violation}");
        }
        return;
    }
    let seeds = number("ECLUSA_SEEDS").unwrap_or(SEEDS);
    let mut all = Statistics::default();
    for seed in 0..seeds {
        let (statistics, violation) = run(seed, Mutant::None, false);
        all.add(&statistics);
        if let Some(violation) = violation {
            panic!(
                "seed {seed} of {seeds}: {violation}\nreplay it with: ECLUSA_SEED={seed} cargo \
                 test -p eclusa-policy --test simulation every_seed -- --nocapture"
            );
        }
    }
    println!("{seeds} seeds: {all:?}");
    // A simulation in which nothing happens keeps every invariant.
    assert!(all.sessions > 100 * seeds && all.resets > 0 && all.replays > 0 && all.voids > 0);
    assert!(all.dead > 0 && all.correlated > 0 && all.queued > 0, "{all:?}");
}

#[test]
fn a_seed_gives_the_same_story_twice() {
    for seed in 0..8 {
        assert_eq!(run(seed, Mutant::None, false).0, run(seed, Mutant::None, false).0);
    }
}

#[test]
fn every_mutant_is_caught_by_its_invariant() {
    let mut table = String::new();
    let mut missed = Vec::new();
    for (mutant, invariant) in Mutant::ALL {
        let caught = (0..SEEDS).find_map(|seed| run(seed, mutant, false).1.map(|v| (seed, v)));
        match caught {
            Some((seed, violation)) => {
                table += &format!("{mutant:?}: caught by `{}`, seed {seed}\n", violation.invariant);
                if violation.invariant != invariant {
                    missed.push(format!("{mutant:?}: expected `{invariant}`, got {violation}"));
                }
            }
            None => missed.push(format!("{mutant:?}: not caught in {SEEDS} seeds")),
        }
    }
    println!("{table}");
    assert!(missed.is_empty(), "{}\n{table}", missed.join("\n"));
}
