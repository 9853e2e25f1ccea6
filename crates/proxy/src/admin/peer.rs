//! Who is at the other end of the socket.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use tokio::net::UnixStream;

/// As much of `/etc/passwd` as is read.
const PASSWD_MAX: u64 = 1 << 20;

/// Who asks: what the kernel says of the process that connected (`SO_PEERCRED`, `unix(7)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The user; `None`: it came over TCP, and the kernel does not say.
    pub(crate) uid: Option<u32>,
    /// The user's name, where `/etc/passwd` has it.
    pub(crate) user: Option<String>,
    /// The process; `None`: of another namespace.
    pub(crate) pid: Option<i32>,
    /// What the process calls itself, where it can be seen.
    pub(crate) program: Option<String>,
    /// Of a browser in front of the dashboard: the address that it came from.
    pub(crate) from: Option<String>,
}

impl Peer {
    /// Whoever connected.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self::new(credentials.uid(), credentials.pid().filter(|pid| *pid > 0)))
    }

    /// A process of a user, with the names that this host has for both.
    pub(crate) fn new(uid: u32, pid: Option<i32>) -> Self {
        let program = pid.and_then(name_of);
        Self { uid: Some(uid), user: user_name(uid), pid, program, from: None }
    }

    /// Somebody who has the dashboard's token, at this address.
    pub(crate) fn over_http(from: SocketAddr) -> Self {
        let from = Some(from.to_string());
        Self { uid: None, user: None, pid: None, program: None, from }
    }

    /// The user, by name if there is one.
    pub(crate) fn user(&self) -> String {
        match (&self.user, self.uid, &self.from) {
            (Some(user), ..) => user.clone(),
            (None, Some(uid), _) => format!("uid {uid}"),
            (None, None, from) => format!("dashboard, {}", from.as_deref().unwrap_or("somebody")),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.user, self.uid) {
            (_, None) => return f.write_str(&self.user()),
            (Some(user), Some(uid)) => write!(f, "{user} (uid {uid}")?,
            (None, Some(uid)) => write!(f, "uid {uid} (no name")?,
        }
        if let Some(pid) = self.pid {
            write!(f, ", pid {pid}")?;
        }
        if let Some(program) = &self.program {
            write!(f, ", {program}")?;
        }
        f.write_str(")")
    }
}

/// What a process calls itself: its own words, so nothing in it is let through that could pass for
/// something else. `None`: gone, or not to be seen (a confined engine sees no other process).
fn name_of(pid: i32) -> Option<String> {
    let mut text = Vec::new();
    File::open(format!("/proc/{pid}/comm")).ok()?.take(64).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let plain = |c: char| if c.is_ascii_graphic() && c != '(' && c != ')' { c } else { '?' };
    Some(text.trim_end().chars().map(plain).collect::<String>()).filter(|name| !name.is_empty())
}

/// The name of a user.
pub(super) fn user_name(uid: u32) -> Option<String> {
    named("/etc/passwd", uid)
}

/// The name of a group.
pub(super) fn group_name(gid: u32) -> Option<String> {
    named("/etc/group", gid)
}

/// The number of a group that is given by name or number.
pub(super) fn group_number(group: &str) -> Option<u32> {
    if let Ok(number) = group.parse() {
        return Some(number);
    }
    entries("/etc/group")?.into_iter().find(|(name, _)| name == group).map(|(_, number)| number)
}

fn named(file: &str, number: u32) -> Option<String> {
    entries(file)?.into_iter().find(|(_, known)| *known == number).map(|(name, _)| name)
}

/// Names and numbers of `passwd(5)` or `group(5)`.
fn entries(file: &str) -> Option<Vec<(String, u32)>> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(PASSWD_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let entry = |line: &str| {
        let mut parts = line.split(':');
        let name = parts.next().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), parts.nth(1)?.parse().ok()?))
    };
    Some(text.lines().filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_host() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(group_number("root"), Some(0));
        assert_eq!(group_number("4242"), Some(4242));
        assert_eq!(group_number("no such group"), None);
        assert_eq!(group_name(0).as_deref(), Some("root"));
    }

    #[test]
    fn the_peer_in_words() {
        let own = i32::try_from(std::process::id()).unwrap();
        let peer = Peer::new(0, Some(own));
        let name = peer.program.clone().unwrap();
        assert_eq!(peer.to_string(), format!("root (uid 0, pid {own}, {name})"));
        let stranger = Peer::new(4_000_000_000, None);
        assert_eq!(stranger.to_string(), "uid 4000000000 (no name)");
        assert_eq!(stranger.user(), "uid 4000000000");
        let browser = Peer::over_http(([127, 0, 0, 1], 4000).into());
        assert_eq!(browser.to_string(), "dashboard, 127.0.0.1:4000");
    }
}
