//! A fake kube-apiserver: real TLS, HTTP/1.1 and HTTP/2 by ALPN, health endpoints, watches,
//! graceful termination, and faults on command.
//!
//! | path | answer |
//! |---|---|
//! | `/readyz` `/livez` `/healthz` (`?verbose`) | `ok`, or what [`Faults`] say |
//! | `/version` | Kubernetes' version document, with `master` |
//! | `/api/...`, anything else | a small JSON object that names the master; `POST` gets 201 |
//! | `/watch?rate=10&events=N&pad=BYTES`, or `?watch=true` anywhere | a JSON event per line; endless without `events` |
//! | `/blob?bytes=N&seed=S` | N bytes of [`crate::stream::Stream`] S |
//! | `/upload` | length and [`crate::stream::Checksum`] of the request's body, as JSON |
//! | `/slow?ms=N` | the small answer, after that time |
//!
//! Each answer has the master's name in the header `x-master`, and in `x-client` who is at the
//! other end (with [`Settings::expect_proxy`]: as the PROXY header says). The state machine of its end is
//! kube-apiserver's: SIGTERM (or [`ApiServer::terminate`]) turns `/readyz` to 500 at once; new
//! connections are served for `shutdown_delay`; then the listener closes and standing connections
//! get GOAWAY or `Connection: close`; running requests get up to `grace`, watches `watch_grace`
//! (their bodies end then); what is left is cut.

mod answer;
mod body;
mod control;
mod faults;
mod process;
mod serve;
mod shared;
mod wire;

pub use faults::Faults;
pub use process::MasterProcess;
pub use shared::{Counters, Phase};

use crate::background::Background;
use crate::ca::Leaf;
use crate::wait;
use shared::Shared;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a fake apiserver behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it calls itself in its answers.
    pub name: String,
    /// Its certificate; `None`: plain HTTP/1.1 and HTTP/2 with prior knowledge.
    pub certificate: Option<Leaf>,
    /// The protocols it offers by ALPN, best first.
    pub alpn: Vec<String>,
    /// Whether each connection must begin with a PROXY header (version 1 or 2).
    pub expect_proxy: bool,
    /// How long it goes on accepting after SIGTERM; kubeadm's masters: zero.
    pub shutdown_delay: Duration,
    /// How long running requests may go on after its listener has closed; Kubernetes: 60 s.
    pub grace: Duration,
    /// How long watches go on after its listener has closed (never longer than `grace`).
    pub watch_grace: Duration,
    /// Events a second of a watch that does not ask for another rate.
    pub watch_rate: f64,
    /// How many of a thousand HTTP/2 requests make their connection go away
    /// (`--goaway-chance`, which allows up to 20).
    pub goaway_per_mille: u32,
    /// The faults that it starts with.
    pub faults: Faults,
}

impl Settings {
    /// A master called `name` that shows `certificate` and ends as kubeadm's do.
    #[must_use]
    pub fn new(name: &str, certificate: &Leaf) -> Self {
        Self { certificate: Some(certificate.clone()), ..Self::plain(name) }
    }

    /// The same without TLS.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            certificate: None,
            alpn: crate::ca::H2_AND_HTTP1.iter().map(|&protocol| protocol.to_owned()).collect(),
            expect_proxy: false,
            shutdown_delay: Duration::ZERO,
            grace: Duration::from_secs(60),
            watch_grace: Duration::from_secs(2),
            watch_rate: 10.0,
            goaway_per_mille: 0,
            faults: Faults::default(),
        }
    }
}

/// A running fake apiserver. Dropping it is `kill -9`: the system closes all its sockets.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Background,
}

impl ApiServer {
    /// Listens on `address` (port 0: a free one) in the network namespace of this thread.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let thread_name = settings.name.clone();
        let shared = Arc::new(Shared::new(settings));
        let for_thread = Arc::clone(&shared);
        let (address, thread) = Background::start(&thread_name, move || {
            let listener = serve::listen(address)?;
            let address = listener.local_addr()?;
            Ok((address, serve::run(listener, address, for_thread)))
        })?;
        Ok(Self { address, shared, thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.settings.name
    }

    /// Changes its faults: `master.fault(|f| f.readyz = Some(500))`.
    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.faults.send_modify(change);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.fault(|faults| *faults = Faults::default());
    }

    /// One line of the control interface, as the binary's control socket takes it (the list
    /// stands at [`ApiServer::listen_for_commands`]).
    ///
    /// # Errors
    /// The command is not known or lacks its value.
    pub fn command(&self, line: &str) -> Result<String, String> {
        control::execute(line, &self.shared)
    }

    /// Takes lines at a Unix socket; answers each with one line, `ok ...` or `error ...`.
    ///
    /// `first-byte D`, `every-byte D`, `answer D`, `health D` (durations such as `800ms` or
    /// `1.5s`; `0s` ends it), `readyz CODE`, `livez CODE`, `status CODE` (`ok` ends it),
    /// `silent`, `reset`, `alert`, `refuse` with `on` or `off`, `heal`, `terminate`, `cut`,
    /// `goaway`, `counters`, `faults`, `phase`.
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub fn listen_for_commands(&self, path: &Path) -> io::Result<ControlSocket> {
        control::listen(path, Arc::clone(&self.shared))
    }

    /// Begins the graceful end, as SIGTERM does.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// Cuts every standing connection (the system sends FIN, or RST where bytes were unread).
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Asks every standing connection to go away after its running requests.
    pub fn goaway(&self) {
        self.shared.goaway();
    }

    /// Where it stands in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Whether its graceful end is complete.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.thread.is_finished()
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Blocks until its graceful end is complete and returns how long that took.
    ///
    /// # Panics
    /// When it is not within `limit`.
    #[track_caller]
    pub fn wait_stopped(&self, limit: Duration) -> Duration {
        let what = format!("the graceful end of {}", self.name());
        wait::wait_until(limit, &what, || self.is_stopped())
    }
}

/// A control socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: std::path::PathBuf,
    _thread: Background,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Nothing depends on it: a stale file only makes the next start remove it first.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Sends one line to the control socket of a fake apiserver and returns the answer without
/// `ok`.
///
/// # Errors
/// Nobody listens, no answer within 5 s, or the answer is an error.
pub fn send_command(path: &Path, line: &str) -> io::Result<String> {
    control::send(path, line)
}

#[cfg(test)]
mod tests;
