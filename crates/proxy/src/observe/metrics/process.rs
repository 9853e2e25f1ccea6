//! What the system knows of the process. The files are opened once, at the start: later the process
//! may be confined.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The ports that connections go out from where nothing else is set.
const PORTS: (u16, u16) = (32_768, 60_999);

/// Open files of the process's own numbers.
#[derive(Debug)]
pub(super) struct Process {
    /// `/proc/self/statm`
    memory: Option<File>,
    /// `/proc/self/fd`
    descriptors: Option<File>,
    /// Local ports that a connection may go out from.
    ports: u32,
}

impl Process {
    pub(super) fn open() -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        let (first, last) = range.and_then(|text| port_range(&text)).unwrap_or(PORTS);
        Self {
            memory: File::open("/proc/self/statm").ok(),
            descriptors: File::open("/proc/self/fd").ok(),
            ports: u32::from(last.saturating_sub(first)) + 1,
        }
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        let mut text = [0; 128];
        let length = self.memory.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        // statm: size, resident, ... in pages (proc(5)).
        let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    /// Open descriptors. Linux tells the number as the directory's size since 6.2; before, the
    /// entries are counted.
    pub(super) fn descriptors(&self) -> Option<u64> {
        let directory = self.descriptors.as_ref()?;
        match directory.metadata().ok()?.len() {
            0 => {
                let entries = rustix::fs::Dir::read_from(directory).ok()?;
                let count = entries.filter_map(Result::ok).count() as u64;
                // Without `.`, `..` and the descriptor that reads them.
                Some(count.saturating_sub(3))
            }
            count => Some(count),
        }
    }

    /// How many descriptors may be open; `None`: no limit.
    pub(super) fn descriptors_max() -> Option<u64> {
        getrlimit(Resource::Nofile).current
    }

    /// Processor time so far.
    pub(super) fn processor_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// Local ports towards one address of an endpoint, from one source.
    pub(super) fn ports(&self) -> u32 {
        self.ports
    }
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        let process = Process::open();
        assert!(process.memory().unwrap() > 1 << 20);
        let before = process.descriptors().unwrap();
        // Other tests open and close some at the same time.
        let more: Vec<_> = (0..200).map(|_| File::open("/dev/null").unwrap()).collect();
        let with = process.descriptors().unwrap();
        assert!(with > before + 100, "{before} {with}");
        drop(more);
        assert!(Process::descriptors_max().is_none_or(|max| max >= with));
        assert!(Process::processor_time() > Duration::ZERO);
        assert!((1..=65_536).contains(&process.ports()));
        assert_eq!(port_range("1024\t65535\n"), Some((1024, 65_535)));
        assert_eq!(port_range("1024"), None);
    }
}
