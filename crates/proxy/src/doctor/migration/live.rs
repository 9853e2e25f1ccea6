//! What of HAProxy runs on this host, and who is connected to its socket.

use crate::doctor::facts::UnitState;
use crate::listening::Holder;
use std::fs;
use std::process::Command;

/// So many processes are told.
const PROCESSES_MAX: usize = 32;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Haproxy {
    /// Its processes, each with the unit or the like that started it (cgroups(7)).
    pub(crate) processes: Vec<(Holder, String)>,
    /// What systemd says of its unit; `None`: there is no systemd.
    pub(crate) systemd: Option<UnitState>,
    /// Who is connected to its socket now, one text for each process; or why that cannot be told.
    pub(crate) connected: Result<Vec<String>, String>,
}

/// Looks. `sockets`: those that HAProxy listens on.
pub(super) fn look(sockets: &[String], systemd: Option<UnitState>) -> Haproxy {
    Haproxy { processes: processes(), systemd, connected: connected(sockets) }
}

fn processes() -> Vec<(Holder, String)> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid else { continue };
        let read = |name: &str| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        // Those of another network have another place to listen.
        let ours = fs::read_link("/proc/self/ns/net").ok();
        let here = fs::read_link(process.path().join("ns/net")).ok();
        let same = here.is_none() || here == ours;
        if ["haproxy", "hapee-lb"].contains(&name.as_str()) && same {
            found.push((Holder { name, pid }, started_by(&read("cgroup"))));
        }
    }
    found.sort_by_key(|(holder, _)| holder.pid);
    found.truncate(PROCESSES_MAX);
    found
}

/// The last part of the cgroup's path: `haproxy.service`, `docker-0123.scope`.
fn started_by(cgroup: &str) -> String {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let last = path.and_then(|path| path.rsplit('/').find(|part| !part.is_empty()));
    last.unwrap_or_default().to_owned()
}

/// Who is connected to one of these sockets, by `ss`: the kernel's own table does not say who is at the
/// other end.
fn connected(sockets: &[String]) -> Result<Vec<String>, String> {
    let output = Command::new("ss").args(["-Hxp"]).output();
    let output = output.map_err(|error| format!("ss (of iproute2): {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ss: {}", said.lines().next().unwrap_or("it failed")));
    }
    Ok(clients(&String::from_utf8_lossy(&output.stdout), sockets))
}

/// The processes at the other end of connections to the sockets: columns are type, state, two queues, the
/// path and inode of one end, those of the other, processes (ss(8)).
fn clients(table: &str, sockets: &[String]) -> Vec<String> {
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    // HAProxy binds under a name of its own first, and that stays in the table: `PATH.PID.tmp`.
    let is_socket = |path: &str| {
        let bound = |socket: &String| {
            let rest = path.strip_prefix(socket.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(".tmp"))
        };
        sockets.iter().any(bound)
    };
    let mut found = Vec::new();
    for row in &rows {
        let [_, "ESTAB", _, _, path, _, _, peer, ..] = row[..] else { continue };
        if !is_socket(path) {
            continue;
        }
        let other = rows.iter().find(|row| row.get(5) == Some(&peer));
        let who = other.and_then(|row| user(row.get(8)?));
        let who = who.unwrap_or_else(|| "a process that cannot be told".to_owned());
        if !found.contains(&who) {
            found.push(who);
        }
    }
    found
}

/// `users:(("telegraf",pid=812,fd=9))`
fn user(field: &str) -> Option<String> {
    let (name, rest) = field.strip_prefix("users:((\"")?.split_once('"')?;
    let pid = rest.split_once("pid=")?.1.split(',').next()?;
    Some(format!("{name}, pid {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn who_is_connected_is_read_from_ss() {
        let table = "\
u_str LISTEN 0 10 /run/haproxy/admin.sock.77.tmp 100 * 0 users:((\"haproxy\",pid=77,fd=5))
u_str ESTAB 0 0 /run/haproxy/admin.sock.77.tmp 101 * 102 users:((\"haproxy\",pid=78,fd=9))
u_str ESTAB 0 0 * 102 * 101 users:((\"telegraf\",pid=812,fd=9))
u_str ESTAB 0 0 /run/other.sock 103 * 104
u_str ESTAB 0 0 /run/haproxy/admin.sock 105 * 106
";
        let sockets = ["/run/haproxy/admin.sock".to_owned()];
        assert_eq!(
            clients(table, &sockets),
            ["telegraf, pid 812", "a process that cannot be told"]
        );
    }

    #[test]
    fn a_client_of_a_real_socket_is_told() {
        let scratch = eclusa_testkit::process::Scratch::new("live").unwrap();
        let path = scratch.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let _accepted = listener.accept().unwrap();
        let sockets = [path.display().to_string()];
        let Ok(found) = connected(&sockets) else { return };
        let own = format!("pid {}", std::process::id());
        assert!(found.len() == 1 && found[0].ends_with(&own), "{found:?}");
    }

    #[test]
    fn a_unit_is_the_last_part_of_a_cgroup() {
        assert_eq!(started_by("0::/system.slice/haproxy.service\n"), "haproxy.service");
        assert_eq!(started_by("0::/\n"), "");
    }
}
