//! What the kernel says about a process (`/proc`).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident (`VmRSS`).
    pub resident: u64,
    /// Resident and not backed by a file (`RssAnon`): heap and stacks.
    pub anonymous: u64,
    /// The peak of resident memory (`VmHWM`).
    pub peak: u64,
}

pub(super) fn memory(pid: u32) -> io::Result<Memory> {
    let status = status(pid)?;
    let bytes = |key: &str| {
        let kilobytes = status.get(key)?.split_ascii_whitespace().next()?;
        Some(kilobytes.parse::<u64>().ok()? * 1024)
    };
    let all = (bytes("VmRSS"), bytes("RssAnon"), bytes("VmHWM"));
    let (Some(resident), Some(anonymous), Some(peak)) = all else {
        return Err(io::Error::other(format!("process {pid} has no memory: it has ended")));
    };
    Ok(Memory { resident, anonymous, peak })
}

/// The fields of `/proc/PID/status`.
pub(super) fn status(pid: u32) -> io::Result<HashMap<String, String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect())
}

/// The engine that the keeper `pid` has started, if it is one and has.
pub(super) fn engine_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let children = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
    children.into_iter().find(|child: &u32| {
        let arguments = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).nth(1) == Some(b"engine")
    })
}

/// Processor time of all threads that are alive, exact to the nanosecond.
pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = schedstat.split_ascii_whitespace().next();
        nanoseconds += first
            .and_then(|number| number.parse::<u64>().ok())
            .ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Whether somebody listens on TCP port `port`, on any address, in the network namespace of the
/// process. Unlike a connection this leaves no trace in the listener's log.
pub(super) fn listens(pid: u32, port: u16) -> bool {
    const LISTEN: &str = "0A";
    ["tcp", "tcp6"].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next().and_then(|local| local.rsplit_once(':'));
            let is_port = local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port));
            is_port && fields.nth(1) == Some(LISTEN)
        })
    })
}
