//! The balancers that stand in the cluster: ours with its one-line file, and HAProxy with two.

use crate::haproxy::{self, Haproxy};
use e2e::product::{PATIENCE, Product, Program};
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Runner, Signal};
use eclusa_testkit::wait::wait_until;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

/// Where all listen.
const PORT: u16 = 6443;

/// Which balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `eclusa-apiserver` with the names of the masters and nothing else.
    Ours,
    /// HAProxy with the file of kubeadm's guide.
    Kubeadm,
    /// HAProxy as one tunes it.
    Tuned,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Kubeadm, Self::Tuned];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Kubeadm => "HAProxy kubeadm",
            Self::Tuned => "HAProxy tuned",
        }
    }

    /// Its word in `ECLUSA_CANDIDATES`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Kubeadm => "kubeadm",
            Self::Tuned => "tuned",
        }
    }
}

/// A verdict has changed.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: Instant,
    /// `master1`
    pub master: String,
    /// `up`, `suspect`, `draining`, `dead`; `UP`, `DOWN`.
    pub verdict: String,
    pub reason: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { master, verdict, reason, .. } = self;
        let blank = if reason.is_empty() { "" } else { " " };
        write!(f, "{master} {verdict}{blank}{reason}")
    }
}

/// A running balancer.
#[derive(Debug)]
pub enum Candidate {
    Ours(Product, Vec<(String, SocketAddr)>),
    Haproxy(Haproxy),
}

impl Candidate {
    /// Starts it on `host` for these masters; `more` are lines of our file, and `change` has the
    /// last word about how ours is started.
    #[track_caller]
    pub fn start(
        kind: Kind,
        host: &Host,
        masters: &[(String, SocketAddr)],
        more: &str,
        change: impl FnOnce(Runner) -> Runner,
    ) -> Self {
        if kind == Kind::Ours {
            let names: Vec<_> = masters.iter().map(|(_, at)| format!("\"{}\"", at.ip())).collect();
            let file = if more.contains("masters =") {
                more.to_owned()
            } else {
                format!("masters = [{}]\n{more}", names.join(", "))
            };
            // Its log may be lost, and `ready` with it.
            let mut product = Program::Apiserver.launch_with(Some(host), &file, change);
            product.wait_listening(PATIENCE, PORT);
            return Self::Ours(product, masters.to_vec());
        }
        Self::Haproxy(Haproxy::start(host, &haproxy::config(kind == Kind::Tuned, masters)))
    }

    /// Waits until it calls these masters up.
    #[track_caller]
    pub fn wait_up(&self, masters: &[String]) {
        let mut changes = Vec::new();
        let up = |changes: &[Change], master: &String| {
            let last = changes.iter().rev().find(|change| &change.master == master);
            last.is_some_and(|last| last.verdict.eq_ignore_ascii_case("up"))
        };
        let what = format!("{} to find {masters:?} up", self.name());
        wait_until(PATIENCE * 2, &what, || {
            changes = self.changes();
            masters.iter().all(|master| up(&changes, master))
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ours(..) => "ours",
            Self::Haproxy(_) => "HAProxy",
        }
    }

    /// All changes of verdicts so far, in their order.
    pub fn changes(&self) -> Vec<Change> {
        match self {
            Self::Haproxy(haproxy) => haproxy.changes(),
            Self::Ours(product, masters) => {
                let events = product.events();
                let verdicts = events.iter().filter(|event| event["event"] == "verdict");
                let change = |event: &serde_json::Value| {
                    let address = event["address"].as_str()?;
                    let (master, _) =
                        masters.iter().find(|(_, known)| known.to_string() == address)?;
                    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                    let at = instant(humantime::parse_rfc3339(event["ts"].as_str()?).ok()?);
                    let (verdict, reason) = (text("verdict"), text("reason"));
                    Some(Change { at, master: master.clone(), verdict, reason })
                };
                verdicts.filter_map(change).collect()
            }
        }
    }

    /// The events of our log; none of HAProxy.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let Self::Ours(product, _) = self else { return Vec::new() };
        product.events()
    }

    /// The words of our log that are neither sessions nor verdicts; none of HAProxy.
    pub fn words(&self) -> Vec<String> {
        let mut events = self.events();
        events.retain(|event| {
            ["correlated", "panic", "resets", "warning", "log_dropped"]
                .contains(&event["event"].as_str().unwrap_or_default())
        });
        events.iter().map(|event| event["message"].as_str().unwrap_or_default().into()).collect()
    }

    /// Ended sessions that were replayed, and all; of ours only.
    pub fn replayed(&self) -> (u64, u64) {
        let Self::Ours(product, _) = self else { return (0, 0) };
        let sessions = product.sessions();
        let replayed = sessions.iter().filter(|session| session["replayed"] == true).count();
        (replayed as u64, sessions.len() as u64)
    }

    /// Sends its process a signal.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        match self {
            Self::Ours(product, _) => product.signal(signal).unwrap(),
            Self::Haproxy(haproxy) => haproxy.peer.running().signal(signal).unwrap(),
        }
    }

    pub fn pid(&mut self) -> u32 {
        match self {
            Self::Ours(product, _) => product.engine_pid(),
            Self::Haproxy(haproxy) => haproxy.peer.running().pid(),
        }
    }
}

/// A time of the wall clock on the scale of this process; what a clock says that is ahead is now.
fn instant(time: SystemTime) -> Instant {
    let (now, wall) = (Instant::now(), SystemTime::now());
    now - wall.duration_since(time).unwrap_or_default()
}
