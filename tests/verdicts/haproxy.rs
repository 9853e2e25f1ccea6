//! Debian's HAProxy as a candidate: its two files, and its servers' states with their times.

use crate::candidate::Change;
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::Peer;
use eclusa_testkit::wait::pause;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at its statistics: the error of its times.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Asked too early or frozen, it does not answer.
const ANSWER: Duration = Duration::from_millis(500);

/// What both files have.
const GLOBAL: &str = "global\n  log stderr format raw local0 notice\n  \
     stats socket {directory}/stats.sock mode 600 level admin\n  maxconn 4000\n";

/// The file of kubeadm's guide for high availability, without what only HTTP needs. Its checks have
/// HAProxy's defaults: every 2 s, three to fall, two to rise.
const KUBEADM: &str = "defaults
  mode tcp
  log global
  option redispatch
  retries 1
  timeout queue 20s
  timeout connect 5s
  timeout client 35s
  timeout server 35s
  timeout check 10s
frontend apiserver
  bind *:6443
  default_backend masters
backend masters
  option httpchk
  http-check connect ssl
  http-check send meth GET uri /healthz
  http-check expect status 200
  balance roundrobin
  default-server verify none
";

/// What people write who have met its faults.
const TUNED: &str = "defaults
  mode tcp
  log global
  option redispatch
  timeout queue 20s
  timeout connect 5s
  timeout client 4h
  timeout server 4h
frontend apiserver
  bind *:6443
  default_backend masters
backend masters
  option httpchk GET /readyz
  http-check expect status 200
  balance roundrobin
  default-server check-ssl verify none inter 1s rise 2 fall 2 on-marked-down shutdown-sessions
";

/// The text of a file for these masters.
pub fn config(tuned: bool, masters: &[(String, SocketAddr)]) -> String {
    let mut text = format!("{GLOBAL}{}", if tuned { TUNED } else { KUBEADM });
    for (name, address) in masters {
        writeln!(text, "  server {name} {address} check").unwrap();
    }
    text
}

/// A running HAProxy whose states are noted as they change.
#[derive(Debug)]
pub struct Haproxy {
    // Before the process, whose socket it asks.
    noter: Noter,
    pub peer: Peer,
}

impl Haproxy {
    /// Starts it.
    #[track_caller]
    pub fn start(host: &Host, config: &str) -> Self {
        let peer = Peer::haproxy(Some(host), config, &[6443]).unwrap();
        let noter = Noter::start(peer.directory().join("stats.sock"));
        Self { noter, peer }
    }

    /// What has changed so far.
    pub fn changes(&self) -> Vec<Change> {
        self.noter.changes.lock().unwrap().clone()
    }
}

/// The thread that looks at the statistics; ends when dropped.
#[derive(Debug)]
struct Noter {
    changes: Arc<Mutex<Vec<Change>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Noter {
    fn start(socket: PathBuf) -> Self {
        let (changes, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (for_thread, stopped) = (Arc::clone(&changes), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                if let Ok(states) = states(&socket) {
                    note(&mut for_thread.lock().unwrap(), states);
                }
                pause(LOOK_EVERY);
            }
        });
        Self { changes, stop, thread: Some(thread) }
    }
}

impl Drop for Noter {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

fn note(changes: &mut Vec<Change>, states: Vec<(String, String)>) {
    for (master, state) in states {
        let last = changes.iter().rev().find(|change| change.master == master);
        // `UP 1/2` is on its way down, and still up.
        let word = if state.starts_with("DOWN") { "DOWN" } else { "UP" };
        if last.is_none_or(|last| last.verdict != word) {
            let (verdict, reason) = (word.to_owned(), String::new());
            changes.push(Change { at: Instant::now(), master, verdict, reason });
        }
    }
}

/// The masters and their states.
fn states(socket: &Path) -> io::Result<Vec<(String, String)>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"show stat -1 4 -1\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let head = text.lines().next().unwrap_or_default();
    let column = |name: &str| head.trim_start_matches("# ").split(',').position(|it| it == name);
    let (Some(name), Some(status)) = (column("svname"), column("status")) else {
        return Err(io::Error::other(format!("no statistics: {head}")));
    };
    let rows = text.lines().skip(1).filter_map(|line| {
        let cells: Vec<_> = line.split(',').collect();
        Some(((*cells.get(name)?).to_owned(), (*cells.get(status)?).to_owned()))
    });
    Ok(rows.collect())
}
