//! The flood table: every attack on every balancer, and what others feel of it.

use super::bed::{Bed, Outcome};
use super::candidate::Kind;
use e2e::proof::{Item, full, size};
use eclusa_testkit::flood::Attack;
use eclusa_testkit::netns::skipped;
use std::time::Duration;

/// How long an attack lasts.
const LASTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));
/// What 99 of 100 others wait at most. Every day other tests run beside it, unoptimised.
const P99: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// What the program may hold.
const MEMORY: u64 = 150 << 20;
/// Those of every day.
const QUICK: [Attack; 4] =
    [Attack::RapidReset, Attack::EmptyContinuation, Attack::EndlessHead, Attack::ResetStorm];

fn holds(outcome: &Outcome) -> bool {
    outcome.felt.failed.is_empty()
        && outcome.felt.p99() < size(P99.0, P99.1)
        && outcome.peak < MEMORY
}

fn record(number: usize, attack: Attack, kind: Kind, outcome: &Outcome) -> bool {
    let Outcome { felt, attackers, peak } = outcome;
    let sum = |count: fn(&eclusa_testkit::flood::Report) -> u64| -> u64 {
        attackers.iter().map(count).sum()
    };
    let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    let (failed, asked, mebibytes) = (felt.failed.len(), felt.took.len(), peak >> 20);
    let cells = [
        ("failed", format!("{failed} of {asked}")),
        ("p50", ms(felt.median())),
        ("p99", ms(felt.p99())),
        ("worst", ms(felt.worst())),
        ("memory", format!("{mebibytes} MiB")),
        ("connections", sum(|report| report.opened).to_string()),
        ("cut", sum(|report| report.cut).to_string()),
        ("refused", sum(|report| report.refused).to_string()),
        ("GOAWAY", sum(|report| report.goaways).to_string()),
        ("MB sent", (sum(|report| report.said) / 1_000_000).to_string()),
    ];
    let ours = kind == Kind::Ours;
    let bound = format!("0 failed, p99 under {:?}, under 150 MiB", size(P99.0, P99.1));
    let short = format!("{failed} / {:.0} ms / {mebibytes} MiB", felt.p99().as_secs_f64() * 1e3);
    let figure = format!("{felt}; {mebibytes} MiB; attackers: {attackers:?}");
    println!("{}, {}: {figure}", attack.name(), kind.name());
    let item = Item::new(format!("4.{number} {}, {}", attack.name(), kind.name()))
        .bound(if ours { bound } else { "beside ours".to_owned() })
        .n(asked)
        .worst(ms(felt.worst()))
        .median(ms(felt.median()))
        .line(&attack.name(), kind.name(), &cells, short);
    let passed = !ours || holds(outcome);
    // A row that fell short must not keep the others from being run.
    let record = || item.record(passed, figure);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)).is_ok()
}

#[test]
fn floods_are_not_felt_by_others() {
    if skipped("floods_are_not_felt_by_others") {
        return;
    }
    let listed = |variable: &str| std::env::var(variable).ok();
    let (rows, whose) = (listed("ECLUSA_ROWS"), listed("ECLUSA_WHO"));
    let among = |list: &Option<String>, name: &str| {
        list.as_ref().map(|list| list.split(',').any(|one| one == name))
    };
    let mut short = Vec::new();
    for (number, attack) in (1..).zip(Attack::all()) {
        let name = attack.name();
        if !among(&rows, &name).unwrap_or(full() || QUICK.contains(attack)) {
            continue;
        }
        for kind in Kind::ALL {
            if !among(&whose, kind.name()).unwrap_or(full() || kind == Kind::Ours) {
                continue;
            }
            // All of it fresh: a peak is of this row alone, and tens of thousands of sockets in TIME_WAIT of the
            // row before make the kernel search milliseconds for a free port.
            let bed = Bed::new();
            let Some(mut candidate) = bed.start(kind) else { continue };
            let outcome = bed.attack(&candidate, *attack, size(LASTS.0, LASTS.1));
            if !record(number, *attack, kind, &outcome) {
                println!("{}", candidate.last_words());
                short.push(name.clone());
            }
        }
    }
    assert!(short.is_empty(), "these rows fell short: {}", short.join(", "));
}
