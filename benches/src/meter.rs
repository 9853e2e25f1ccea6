//! What the kernel says about processes and the machine (`/proc`).

use crate::failure::{Context, Failure, Outcome};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Ticks of `/proc/stat` in a second: a constant of the interface, whatever the kernel's own clock.
const TICKS: f64 = 100.0;

/// A process with all its descendants, the process itself first.
#[must_use]
pub fn family(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Some(parent) = after_name(&stat).and_then(|mut rest| rest.nth(1)?.parse().ok())
        {
            parents.push((id, parent));
        }
    }
    descendants(root, &parents)
}

/// `root` and all below it, of pairs of process and parent.
fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        for &(id, its_parent) in parents {
            if its_parent == parent && !family.contains(&id) {
                family.push(id);
            }
        }
        next += 1;
    }
    family
}

/// The fields of a `stat` file behind the program's name, which may itself contain blanks.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

/// Seconds of processor time of `root`, its descendants, and those of its children that have ended,
/// exact to a hundredth of a second where one has: for what is reloaded, and so goes on in others.
///
/// # Errors
/// `root` is gone.
pub fn lineage_seconds(root: u32) -> Outcome<f64> {
    let stat = read(&format!("/proc/{root}/stat"))?;
    let ended = after_name(&stat).map(|fields| fields.skip(13).take(2).filter_map(number).sum());
    let ended: f64 = ended.ok_or_else(|| Failure::new("stat makes no sense"))?;
    // Who ends between two looks has moved from one sum to the other, or is missed for this once.
    let living = family(root).into_iter().filter_map(|id| processor_seconds(&[id]).ok());
    Ok(living.sum::<f64>() + ended / TICKS)
}

/// Seconds of processor time of all threads of `processes`: from `schedstat`, exact to the
/// nanosecond, or where the kernel has none from `stat`, exact to a hundredth of a second.
///
/// # Errors
/// One of the processes is gone.
pub fn processor_seconds(processes: &[u32]) -> Outcome<f64> {
    let mut seconds = 0.0;
    for id in processes {
        seconds += exact_seconds(*id).map_or_else(|| coarse_seconds(*id), Ok)?;
    }
    Ok(seconds)
}

#[allow(clippy::cast_precision_loss)]
fn exact_seconds(id: u32) -> Option<f64> {
    let mut nanoseconds = 0u64;
    for thread in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        nanoseconds += schedstat.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

fn coarse_seconds(id: u32) -> Outcome<f64> {
    let stat = read(&format!("/proc/{id}/stat"))?;
    let ticks = after_name(&stat).map(|fields| fields.skip(11).take(2).filter_map(number).sum());
    ticks.map(|ticks: f64| ticks / TICKS).ok_or_else(|| Failure::new("stat makes no sense"))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Processor time of the whole machine since it started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Seconds that processors worked for this machine, interrupts included.
    pub busy: f64,
    /// Seconds that the host gave to other machines while this one wanted to run.
    pub stolen: f64,
}

impl Machine {
    /// Reads `/proc/stat`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn now() -> Outcome<Self> {
        let stat = read("/proc/stat")?;
        Self::parse(&stat).ok_or_else(|| Failure::new("/proc/stat makes no sense"))
    }

    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<f64> = line.split_ascii_whitespace().filter_map(number).collect();
        // user nice system idle iowait irq softirq steal; guest time is part of user.
        let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else { return None };
        Some(Self { busy: (user + nice + system + irq + softirq) / TICKS, stolen: steal / TICKS })
    }
}

/// Memory of processes, in KiB. Pages that several of them share count once for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Resident at most so far.
    pub peak: u64,
}

impl Memory {
    /// Adds up `processes`.
    ///
    /// # Errors
    /// One of them is gone.
    pub fn of(processes: &[u32]) -> Outcome<Self> {
        let mut memory = Self::default();
        for id in processes {
            let status = read(&format!("/proc/{id}/status"))?;
            memory.resident += kibibytes(&status, "VmRSS:").unwrap_or(0);
            memory.peak += kibibytes(&status, "VmHWM:").unwrap_or(0);
        }
        Ok(memory)
    }
}

/// KiB of the kernel's small objects (sockets and descriptors among them) on the whole machine.
///
/// # Errors
/// `/proc/meminfo` cannot be read.
pub fn slab() -> Outcome<u64> {
    let meminfo = read("/proc/meminfo")?;
    kibibytes(&meminfo, "Slab:").ok_or_else(|| Failure::new("/proc/meminfo makes no sense"))
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// TCP sockets as a process's `/proc/net/sockstat` has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sockets {
    /// In use in the process's network namespace.
    pub in_use: u64,
    /// In TIME-WAIT in that namespace.
    pub time_wait: u64,
    /// KiB of buffers of all TCP sockets of the MACHINE: the kernel keeps no figure per namespace.
    pub buffers: u64,
}

impl Sockets {
    /// Of the namespace of process `id`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn of(id: u32) -> Outcome<Self> {
        let page = rustix::param::page_size() as u64 / 1024;
        Ok(Self::parse(&read(&format!("/proc/{id}/net/sockstat"))?, page))
    }

    fn parse(sockstat: &str, page: u64) -> Self {
        let words: Vec<_> = sockstat
            .lines()
            .find_map(|line| line.strip_prefix("TCP:"))
            .map(|line| line.split_ascii_whitespace().collect())
            .unwrap_or_default();
        let value = |key| {
            let at = words.iter().position(|word| *word == key)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        Self {
            in_use: value("inuse").unwrap_or(0),
            time_wait: value("tw").unwrap_or(0),
            buffers: value("mem").unwrap_or(0) * page,
        }
    }
}

/// KiB that the kernel charges to the TCP sockets in `ss -tmn`'s output: queued, received and not
/// read, set aside, options, backlog.
#[must_use]
pub fn charged(ss: &str) -> u64 {
    let mut bytes = 0;
    for (_, rest) in ss.match_indices("skmem:(").map(|(at, found)| ss.split_at(at + found.len())) {
        let fields = rest.split(')').next().unwrap_or_default();
        for field in fields.split(',') {
            let value = ["bl", "r", "f", "w", "o"]
                .iter()
                .find_map(|key| field.strip_prefix(key)?.parse::<u64>().ok());
            bytes += value.unwrap_or(0);
        }
    }
    bytes / 1024
}

/// Whether a TCP socket listens on `port` in the namespace of process `id`.
#[must_use]
pub fn listens(id: u32, port: u16) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        fs::read_to_string(format!("/proc/{id}/net/{table}"))
            .is_ok_and(|table| listens_in(&table, port))
    })
}

fn listens_in(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.nth(1).is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some("0A")
    })
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(Path::new(path)).context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_grandchildren_and_no_strangers() {
        let parents = [(2, 1), (5, 4), (4, 3), (3, 1), (6, 2)];
        assert_eq!(descendants(3, &parents), [3, 4, 5]);
        assert_eq!(descendants(9, &parents), [9]);
    }

    #[test]
    fn names_with_blanks_and_brackets_do_not_shift_the_fields() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 0 0 0 250 150 0 0";
        let parent = after_name(stat).and_then(|mut fields| fields.nth(1));
        assert_eq!(parent, Some("7"));
    }

    #[test]
    fn the_machine_is_busy_with_all_but_idling_and_waiting() {
        let stat = "cpu  100 20 300 9999 9999 40 50 60 7 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(Machine::parse(stat), Some(Machine { busy: 5.1, stolen: 0.6 }));
        assert_eq!(Machine::parse("cpu 1 2"), None);
    }

    #[test]
    fn sockets_are_counted() {
        let text =
            "sockets: used 9\nTCP: inuse 5 orphan 0 tw 2 alloc 11 mem 3\nUDP: inuse 1 mem 9\n";
        let expected = Sockets { in_use: 5, time_wait: 2, buffers: 12 };
        assert_eq!(Sockets::parse(text, 4), expected);
    }

    #[test]
    fn charged_memory_leaves_limits_out() {
        let ss = "ESTAB 0 0 1.1.1.1:1 1.1.1.2:2\n\t skmem:(r1024,rb131072,t0,tb87040,f2048,w512,o0,bl512,d3)\n\
                  ESTAB 0 0 a b\n\t skmem:(r0,rb1,t9,tb2,f1024,w0,o0,bl0,d0)\n";
        assert_eq!(charged(ss), 5);
    }

    #[test]
    fn only_a_listening_socket_listens() {
        let table = "  sl  local_address rem_address   st\n\
             0: 0100007F:2328 00000000:0000 0A 0\n\
             1: 0100007F:2329 0100007F:9999 01 0\n";
        assert!(listens_in(table, 9000));
        assert!(!listens_in(table, 9001));
    }

    #[test]
    fn this_process_has_used_some_processor_and_memory() {
        let me = [std::process::id()];
        assert!(processor_seconds(&me).is_ok_and(|seconds| seconds >= 0.0));
        assert!(Memory::of(&me).is_ok_and(|memory| memory.peak >= memory.resident));
        assert_eq!(family(me[0])[0], me[0]);
    }
}
