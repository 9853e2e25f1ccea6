//! Facts about the machine, for the head of a report.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// One fact: what it is about, and what it is.
pub type Fact = (String, String);

/// What can be known about this machine; what cannot be read is left out.
#[must_use]
pub fn facts(workspace: &Path) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| (name.to_owned(), value)));
    };
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    add("date", Some(now.to_string()));
    add("commit", commit(workspace));
    add("kernel", word("/proc/sys/kernel/osrelease"));
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    add("processor", processor(&cpuinfo));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    add("memory", memory(&meminfo));
    let governor = word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    add("governor", Some(governor.unwrap_or_else(|| "not visible".into())));
    add("load average before the run", word("/proc/loadavg"));
    add("pages in pipes per user", word("/proc/sys/fs/pipe-user-pages-soft"));
    facts
}

fn word(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn commit(workspace: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(workspace).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit} with changes") })
}

fn processor(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model = value("model name").unwrap_or_else(|| "unknown model".into());
    let guest = value("flags").is_some_and(|f| f.split(' ').any(|flag| flag == "hypervisor"));
    let place = if guest { ", in a virtual machine" } else { "" };
    (cores > 0).then(|| format!("{model}, {cores} cores{place}"))
}

fn memory(meminfo: &str) -> Option<String> {
    let kibibytes: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some(format!("{} GiB", kibibytes.div_ceil(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_and_memory_are_told() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast 9\nflags\t\t: fpu hypervisor\n\
                       processor\t: 1\nmodel name\t: Fast 9\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("Fast 9, 2 cores, in a virtual machine"));
        assert_eq!(processor(""), None);
        assert_eq!(memory("MemTotal:  24500000 kB\n").as_deref(), Some("24 GiB"));
    }
}
