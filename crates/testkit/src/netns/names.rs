//! Names of namespaces, and the sweep of those whose process has died.

use super::ip;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where iproute2 keeps named namespaces.
pub(super) const DIRECTORY: &str = "/run/netns";
const PREFIX: &str = "eclusa-";

/// A number that this process has not used yet.
pub(super) fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn namespace(number: u32, host: &str) -> String {
    format!("{PREFIX}{}-{number}-{host}", std::process::id())
}

/// Takes away, once per process, what processes that are gone have left behind.
pub(super) fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(sweep_now);
}

pub(super) fn sweep_now() {
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let alive = |pid: u32| Path::new(&format!("/proc/{pid}")).exists();
    let lines: String = names
        .filter(|name| owner(name).is_some_and(|pid| !alive(pid)))
        .map(|name| format!("netns delete {name}\n"))
        .collect();
    // Another run may sweep at the same time: that one's successes are our failures.
    let _ = ip::force(&lines);
}

/// The process that made the namespace called `name`, if it is one of ours.
fn owner(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    let pid = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u32>().ok()?;
    parts.next()?;
    Some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_namespaces_have_an_owner() {
        assert_eq!(owner(&namespace(3, "lb")), Some(std::process::id()));
        for other in ["eclusa-", "eclusa-12", "eclusa-12-lb", "eclusa-x-1-lb", "cni-1-1-lb"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
