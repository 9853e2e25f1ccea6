//! Where and with what a proof ran.

use crate::step::program;
use std::fs;

/// A fact and its value.
pub type Fact = (&'static str, String);

/// The commit, and whether files differ from it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| output("git", arguments);
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    // What is written out of figures may differ: a proof must not doubt itself.
    let changed =
        git(&["status", "--porcelain", "--", ".", ":!docs/proof", ":!docs/performance.md"]);
    if changed.is_none_or(|changed| !changed.is_empty()) {
        return format!("{commit} with changes");
    }
    commit
}

/// A commit as [`commit`] has it, if `short` is that one in fewer letters.
pub fn full(short: &str, now: &str) -> String {
    let words = |commit: &str| {
        let (commit, rest) = commit.split_once(' ').unwrap_or((commit, ""));
        (commit.to_owned(), rest.to_owned())
    };
    let ((short_id, short_rest), (id, rest)) = (words(short), words(now));
    let is_same = short_id.len() >= 7 && id.starts_with(&short_id) && short_rest == rest;
    if is_same { now.to_owned() } else { short.to_owned() }
}

/// All facts; what is not here says so.
pub fn all() -> Vec<Fact> {
    let word = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let absent = |value: Option<String>| value.unwrap_or_else(|| "**absent**".into());
    let version = |name: &str, argument: &str| absent(output(name, &[argument]));
    vec![
        ("written", super::now()),
        ("commit", commit()),
        ("processor", processor(&cpuinfo)),
        ("memory", memory(&meminfo)),
        ("kernel", word("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into())),
        ("rustc", version("rustc", "--version")),
        ("HAProxy", version("haproxy", "-v")),
        ("nginx", version("nginx", "-v")),
        ("PostgreSQL", version("psql", "--version")),
    ]
}

/// The first line that a program says, on either output.
fn output(name: &str, arguments: &[&str]) -> Option<String> {
    let output = program(name).args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let bytes = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().trim().to_owned())
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, model)| model);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let guest = cpuinfo.split_whitespace().any(|word| word == "hypervisor");
    format!("{model}, {cores} cores{}", if guest { ", in a virtual machine" } else { "" })
}

fn memory(meminfo: &str) -> String {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.map_or_else(
        || "unknown".into(),
        |kibibytes| format!("{} GiB", kibibytes.div_ceil(1 << 20)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Fast 9\nflags\t: fpu hypervisor\nprocessor\t: 1\n";
        assert_eq!(processor(cpuinfo), "Fast 9, 2 cores, in a virtual machine");
        assert_eq!(memory("MemTotal:  24500000 kB\n"), "24 GiB");
        assert_eq!(memory(""), "unknown");
    }

    #[test]
    fn a_short_commit_is_told_from_another() {
        assert_eq!(full("abc1234", "abc123456789"), "abc123456789");
        assert_eq!(full("abc1234", "abc999956789"), "abc1234");
        assert_eq!(full("abc1234", "abc123456789 with changes"), "abc1234");
        assert_eq!(
            full("abc1234 with changes", "abc123456789 with changes"),
            "abc123456789 with changes"
        );
    }

    #[test]
    fn what_is_not_here_is_absent() {
        assert_eq!(output("no-such-program", &[]), None);
        assert!(commit().len() >= 7);
    }
}
