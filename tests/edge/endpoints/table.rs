//! One of three endpoints gets into trouble; eight clients, 600 GETs: how many fail, how many are slow.

use super::bed::Bed;
use super::candidate::{Candidate, Kind};
use super::clients::{Clients, Felt};
use super::endpoint::Mode;
use crate::bed::PLAIN;
use e2e::proof::{Item, full, size};
use eclusa_testkit::netns::{Direction, skipped};
use std::time::Duration;

/// GETs of a row.
const GETS: usize = 600;
/// Before something happens: enough to know how long an answer takes.
const BEFORE: usize = 240;
/// What is slow. In the short form a machine that has other tests to run may be it, too.
const SLOW: Duration = Duration::from_millis(300);
const SLOW_EVERY_DAY: Duration = Duration::from_secs(1);
/// Runs of a row in a proof.
const RUNS: usize = 5;

/// What happens to the first endpoint.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Mode(Mode),
    /// Its packets are dropped, both ways.
    BlackHole,
}

struct Row {
    name: &'static str,
    trouble: Trouble,
    /// Whether it is run every day.
    quick: bool,
    /// How many may fail.
    fail: usize,
}

const ROWS: [Row; 10] = [
    Row { name: "killed", trouble: Trouble::Mode(Mode::Killed), quick: false, fail: 0 },
    Row { name: "frozen", trouble: Trouble::Mode(Mode::Frozen), quick: true, fail: 0 },
    Row { name: "black-holed", trouble: Trouble::BlackHole, quick: false, fail: 0 },
    Row { name: "RST at once", trouble: Trouble::Mode(Mode::Reset), quick: false, fail: 0 },
    Row { name: "RST in mid-answer", trouble: Trouble::Mode(Mode::Cut), quick: true, fail: 8 },
    Row { name: "empty", trouble: Trouble::Mode(Mode::Empty), quick: false, fail: 0 },
    Row { name: "garbage", trouble: Trouble::Mode(Mode::Garbage), quick: true, fail: 0 },
    Row { name: "503", trouble: Trouble::Mode(Mode::Unavailable), quick: true, fail: 0 },
    Row { name: "slow by 5 s", trouble: Trouble::Mode(Mode::Slow), quick: false, fail: 0 },
    Row { name: "flapping", trouble: Trouble::Mode(Mode::Flapping), quick: false, fail: 0 },
];

impl Trouble {
    fn begin(self, bed: &Bed) {
        match self {
            Self::Mode(mode) => bed.endpoints[0].set(mode),
            Self::BlackHole => bed.host("worker1").drop_packets(Direction::Both).unwrap(),
        }
    }

    fn end(self, bed: &Bed) {
        match self {
            Self::Mode(_) => bed.endpoints[0].set(Mode::Well),
            Self::BlackHole => bed.host("worker1").heal().unwrap(),
        }
    }
}

/// What the clients of a balancer feel.
fn run(bed: &Bed, kind: Kind, row: &Row) -> Felt {
    let candidate = kind.start(&bed.host("edge"), &bed.addresses);
    let mut clients = Clients::new(&bed.host("outside1"), PLAIN);
    let pace = size(Duration::from_millis(20), Duration::from_millis(5));
    let before = clients.run(BEFORE, pace);
    assert!(before.failed.is_empty(), "{} before {}: {before}", kind.name(), row.name);
    row.trouble.begin(bed);
    let felt = clients.run(GETS, pace);
    row.trouble.end(bed);
    if let Candidate::Ours(edge) = &candidate
        && !row.holds(&felt)
    {
        let events = edge.events().into_iter();
        let told = events.filter(|event| event["event"] != "exchange" || event["status"] != 200);
        told.take(60).for_each(|event| println!("  {event}"));
    }
    felt
}

impl Row {
    fn holds(&self, felt: &Felt) -> bool {
        let slow = size(SLOW, SLOW_EVERY_DAY);
        felt.took.len() == GETS
            && felt.failed.len() <= self.fail
            && felt.slower(slow) < 8
            && felt.p99() < slow
    }

    fn bound(&self) -> String {
        let failed = if self.fail == 0 {
            "0 failed".into()
        } else {
            format!("under {} failed", self.fail + 1)
        };
        format!(
            "{failed}, fewer than 8 of {GETS} slower than {:?}, p99 under it",
            size(SLOW, SLOW_EVERY_DAY)
        )
    }

    fn record(&self, number: usize, kind: Kind, runs: &[Felt]) {
        let ours = kind == Kind::Ours;
        // Of several runs the worst is told.
        let badness = |felt: &&Felt| (felt.failed.len(), felt.slower(SLOW), felt.p99());
        let Some(worst) = runs.iter().max_by_key(badness) else { return };
        let passed = runs.iter().all(|felt| self.holds(felt));
        let cells = [
            ("failed", worst.failed.len().to_string()),
            ("over 300 ms", worst.slower(SLOW).to_string()),
            ("p99", format!("{:.0} ms", worst.p99().as_secs_f64() * 1e3)),
            ("worst", format!("{:.0} ms", worst.worst().as_secs_f64() * 1e3)),
        ];
        let bound = if ours { self.bound() } else { "beside ours".to_owned() };
        Item::new(format!("5.3.{number} {}, {}", self.name, kind.name()))
            .bound(bound)
            .n(runs.len() * GETS)
            .worst(format!("{:?}", worst.worst()))
            .median(format!("{:?}", worst.median()))
            .line(self.name, kind.name(), &cells, worst.to_string())
            .record(!ours || passed, worst.to_string());
    }
}

#[test]
fn one_endpoint_of_three_in_trouble_is_hardly_felt() {
    if skipped("one_endpoint_of_three_in_trouble_is_hardly_felt") {
        return;
    }
    let chosen = std::env::var("ECLUSA_ROWS").ok();
    let bed = Bed::new();
    let kinds = if full() { &Kind::ALL[..] } else { &Kind::ALL[..1] };
    let mut short = Vec::new();
    for (number, row) in (1..).zip(&ROWS) {
        let wanted = match &chosen {
            Some(rows) => rows.split(',').any(|name| name == row.name),
            None => full() || row.quick,
        };
        for kind in kinds.iter().filter(|_| wanted) {
            let runs: Vec<_> = (0..size(RUNS, 1)).map(|_| run(&bed, *kind, row)).collect();
            println!(
                "{}, {}: {}",
                row.name,
                kind.name(),
                runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
            );
            // A row that fell short must not keep the others from being run.
            let record = || row.record(number, *kind, &runs);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)).is_err() {
                short.push(row.name);
            }
        }
    }
    assert!(short.is_empty(), "these rows fell short: {}", short.join(", "));
}
