//! A fake apiserver as a process of its own (`eclusa-fake apiserver`): the kind that a test can
//! kill or freeze.

use super::{Settings, send_command};
use crate::ca::Ca;
use crate::netns::Host;
use crate::process::{Runner, Running, Scratch, Signal, binary};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long the start may take.
const START: Duration = Duration::from_secs(10);

/// A master that runs as a process. Dropping it kills the process.
#[derive(Debug)]
pub struct MasterProcess {
    running: Running,
    address: SocketAddr,
    control: PathBuf,
    // After the process: its CA and control socket go when it is gone.
    _scratch: Scratch,
}

impl MasterProcess {
    /// Starts it on `address` (port 0: a free one), on `host` if one is given, with a certificate
    /// of `ca` for `names` and the address, and waits until it serves. Of `settings` everything
    /// counts but the certificate and ALPN.
    ///
    /// # Errors
    /// The binary is not built, or the process cannot be started.
    ///
    /// # Panics
    /// When it ends without serving: with its last words.
    pub fn start(
        host: Option<&Host>,
        address: SocketAddr,
        ca: &Ca,
        names: &[&str],
        settings: &Settings,
    ) -> io::Result<Self> {
        let scratch = Scratch::new(&settings.name)?;
        ca.write(&scratch.path().join("ca"))?;
        let control = scratch.path().join("control");
        let mut arguments = vec![
            "apiserver".to_owned(),
            format!("--listen={address}"),
            format!("--ca={}", scratch.path().join("ca").display()),
            format!("--control={}", control.display()),
            format!("--san={}", address.ip()),
        ];
        arguments.extend(names.iter().map(|name| format!("--san={name}")));
        arguments.extend(as_arguments(settings));
        let program = binary("eclusa-fake").map_err(io::Error::other)?;
        let mut runner = Runner::new(program).args(arguments);
        if let Some(host) = host {
            runner = runner.host(host);
        }
        let mut running = runner.start().map_err(|error| io::Error::other(error.to_string()))?;
        let ready =
            running.wait_for_event(START, "its address", |event| event["address"].is_string());
        let address = ready["address"].as_str().and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("no address in {ready}")))?;
        Ok(Self { running, address, control, _scratch: scratch })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One line of the control interface ([`super::ApiServer::listen_for_commands`]).
    ///
    /// # Errors
    /// The command is wrong, or nobody answers (killed, frozen).
    pub fn command(&self, line: &str) -> io::Result<String> {
        send_command(&self.control, line)
    }

    /// `kill -9`: the system closes all its sockets.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// SIGSTOP: its system still accepts connections and takes bytes; nobody answers.
    ///
    /// # Errors
    /// It has ended.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.running.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It has ended.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.running.signal(Signal::CONT)
    }

    /// SIGTERM: the graceful end begins.
    ///
    /// # Errors
    /// It has ended.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.running.signal(Signal::TERM)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }
}

fn as_arguments(settings: &Settings) -> Vec<String> {
    let milliseconds = |name: &str, value: Duration| format!("--{name}={}ms", value.as_millis());
    let mut arguments = vec![
        format!("--name={}", settings.name),
        milliseconds("shutdown-delay", settings.shutdown_delay),
        milliseconds("grace", settings.grace),
        milliseconds("watch-grace", settings.watch_grace),
        format!("--watch-rate={}", settings.watch_rate),
        format!("--goaway-per-mille={}", settings.goaway_per_mille),
    ];
    if settings.expect_proxy {
        arguments.push("--expect-proxy".to_owned());
    }
    arguments.extend(settings.faults.commands().iter().map(|line| format!("--fault={line}")));
    arguments
}
