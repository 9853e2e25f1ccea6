//! `import --check-live`: real configurations and random ones in HAProxy and, imported, in ours.

mod generate;

use e2e::client::missing;
use e2e::proof::{Item, full, size};
use eclusa_testkit::process::{Scratch, binary};
use generate::generate;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Where the real files are.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/haproxy-import/tests/cfg");

/// Files of the short form: TLS and routes by host and path; TCP with checks by HTTPS.
const SHORT: [&str; 2] = ["061", "054"];

/// Why files are not compared that are no fault of ours.
const UNCOMPARED: [&str; 2] = ["HAProxy refuses it", "nothing to compare"];

/// What came of one file.
struct Run {
    name: String,
    program: &'static str,
    found: Value,
}

impl Run {
    fn number(&self, key: &str) -> u64 {
        self.found[key].as_u64().unwrap_or(0)
    }

    fn is_compared(&self) -> bool {
        self.found["outcome"] == "compared"
    }

    /// Differences of a class: of requests and of endpoints.
    fn of_class(&self, class: &str) -> Vec<String> {
        let requests = self.found["differences"].as_array().into_iter().flatten();
        let of_requests = requests.filter(|it| it["class"] == class).map(|it| {
            let worst = it["differences"].as_array().into_iter().flatten();
            let worst = worst.filter(|it| it["class"] == class).map(shown);
            format!("{}: {}: {}", self.name, it["request"], worst.collect::<Vec<_>>().join("; "))
        });
        let endpoints = self.found["of_endpoints"].as_array().into_iter().flatten();
        let of_endpoints = endpoints
            .filter(|it| it["class"] == class)
            .map(|it| format!("{}: {}", self.name, shown(it)));
        of_requests.chain(of_endpoints).collect()
    }
}

fn shown(difference: &Value) -> String {
    let (what, line) = (&difference["what"], &difference["line"]);
    format!("{what}: HAProxy {}, ours {} ({line})", difference["haproxy"], difference["eclusa"])
}

fn compare(program: &'static str, path: &Path, requests: usize, seed: u64) -> Run {
    let binary = binary(program).unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(binary);
    command.args(["import", "--check-live", "--report", "json"]);
    command.args(["--requests", &requests.to_string(), "--seed", &seed.to_string()]);
    let output = command.arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let found: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{errors}"));
    let wanted = match (found["outcome"] == "compared", found["well"] == true) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    };
    assert_eq!(output.status.code(), Some(wanted), "{text}");
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    Run { name, program, found }
}

/// Compares all, two at once.
fn all(files: &[(&'static str, PathBuf, u64)], requests: usize) -> Vec<Run> {
    let (one, two) = files.split_at(files.len().div_ceil(2));
    let run = |files: &[(&'static str, PathBuf, u64)]| -> Vec<Run> {
        let runs =
            files.iter().map(|(program, path, seed)| compare(program, path, requests, *seed));
        runs.inspect(|run| println!("{}", row(run))).collect()
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| run(one));
        let mut last = run(two);
        let mut all = first.join().unwrap();
        all.append(&mut last);
        all
    })
}

/// A line of the table.
fn row(run: &Run) -> String {
    let mut row = format!("| {} | {} |", run.name, run.program);
    if !run.is_compared() {
        let message = run.found["message"].as_str().unwrap_or_default();
        let message = message.trim_start_matches(':').trim().lines().next().unwrap_or_default();
        let _ = write!(row, " {}: {message} |", run.found["outcome"].as_str().unwrap_or_default());
        return row;
    }
    for key in ["requests", "equal", "improved", "unsupported", "differs", "verdicts"] {
        let _ = write!(row, " {} |", run.number(key));
    }
    row
}

/// Records what a set of files has shown. Returns how many requests there were, and how many were equal.
fn record(item: &str, runs: &[Run]) -> [u64; 2] {
    let sum = |key: &str| runs.iter().map(|run| run.number(key)).sum::<u64>();
    let (requests, equal) = (sum("requests"), sum("equal"));
    let of = |class: &str| runs.iter().flat_map(|run| run.of_class(class)).collect::<Vec<_>>();
    let (differs, unsupported, improved) = (of("differs"), of("unsupported"), of("improved"));
    for difference in improved.iter().chain(&unsupported).chain(&differs) {
        println!("{difference}");
    }
    let uncompared: Vec<_> = runs.iter().filter(|run| !run.is_compared()).map(row).collect();
    // HAProxy does not take it, or it has nothing but pages of statistics.
    let is_fine = |row: &&String| UNCOMPARED.iter().any(|outcome| row.contains(outcome));
    let not_ours: Vec<_> = uncompared.iter().filter(|row| !is_fine(row)).collect();
    let left = sum("unsent") + sum("verdicts_missing");
    let first = differs.first().cloned().or(not_ours.first().map(ToString::to_string));
    Item::new(item)
        .bound("every difference improved or not carried over, by the report; none left out")
        .n(requests)
        .note(format!("not compared: {}", uncompared.join(" ")))
        .record(
            first.is_none() && requests > 0 && left == 0,
            format!(
                "{equal} of {requests} equal, {} improved, {} of lines that are not carried over, {} \
                 differ; {} verdicts, {left} of all left out; {} files compared, {} not; {}",
                sum("improved"),
                sum("unsupported"),
                sum("differs"),
                sum("verdicts"),
                runs.len() - uncompared.len(),
                uncompared.len(),
                first.unwrap_or_else(|| "no difference without a reason".to_owned()),
            ),
        );
    [requests, equal]
}

/// Real files, each by the programs that it is for.
fn real() -> Vec<Run> {
    let index = std::fs::read_to_string(Path::new(REAL).join("INDEX.tsv")).unwrap();
    let rows = index.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t');
        Some((cells.next()?, cells.next()?))
    });
    let mut files = Vec::new();
    for (number, role) in rows.filter(|(number, _)| full() || SHORT.contains(number)) {
        let path = Path::new(REAL).join(format!("{number}.cfg"));
        files.push(("eclusa-edge", path.clone(), 1));
        if role == "api" {
            files.push(("eclusa-apiserver", path, 1));
        }
    }
    all(&files, size(300, 60))
}

/// Files that are made here.
fn random() -> Vec<Run> {
    let scratch = Scratch::new("compare").unwrap();
    let count = size(60, 1);
    let files: Vec<_> = (0..count)
        .map(|seed| {
            let path = scratch.write(&format!("random-{seed}.cfg"), &generate(seed)).unwrap();
            ("eclusa-edge", path, seed)
        })
        .collect();
    all(&files, size(200, 60))
}

#[test]
fn files_do_the_same_in_haproxy_and_imported() {
    if missing("files_do_the_same_in_haproxy_and_imported", "haproxy") {
        return;
    }
    let of_real = record("2.1 real files in HAProxy and, imported, in ours", &real());
    let of_random = record("2.2 random files in HAProxy and, imported, in ours", &random());
    let [requests, equal] = [0, 1].map(|at| of_real[at] + of_random[at]);
    // In a few requests one that is meant to differ weighs much.
    let enough = !full() || (requests >= 20_000 && equal * 100 >= requests * 99);
    Item::new("2.3 requests and sessions of all files that are equal")
        .bound("at least 99 % of 20,000")
        .n(requests)
        .record(
            enough,
            format!("{:.2} %: {equal} of {requests}", equal as f64 * 100.0 / requests as f64),
        );
}
