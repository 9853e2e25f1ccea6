//! Runs one fake of the test bed as a process of its own, so that a test can kill it (SIGKILL),
//! freeze it (SIGSTOP) or give it another user.
//!
//! When it is ready it prints one line of JSON: `{"address":"127.0.0.1:6443","kind":"echo"}`.
//! SIGTERM ends an apiserver gracefully and everything else at once; SIGINT ends all at once.

use clap::{Args, Parser, Subcommand};
use eclusa_testkit::apiserver::{ApiServer, Faults, Settings};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::wait::parse_duration;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What an apiserver may need beyond its own delays, before its end counts as stuck.
const SPARE: Duration = Duration::from_secs(10);

/// Runs one fake of Eclusa's test bed: a kube-apiserver or a byte-exact TCP endpoint.
#[derive(Parser)]
#[command(name = "eclusa-fake")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a throw-away CA (`ca.pem`, `ca.key`) in a directory
    Ca {
        /// Where
        directory: PathBuf,
    },
    /// A kube-apiserver; SIGTERM ends it gracefully
    Apiserver(Box<Apiserver>),
    /// Send back what is read
    Echo(Place),
    /// Send back what was read, after FIN
    EchoAfterEof(Place),
    /// Send a stream of bytes, then FIN
    Source {
        #[command(flatten)]
        place: Place,
        /// Seed of the stream
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Length of the stream
        #[arg(long)]
        bytes: u64,
    },
    /// Check a stream of bytes; answer with a line of JSON after its FIN
    Sink {
        #[command(flatten)]
        place: Place,
        /// Seed of the stream
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Read at most so many bytes a second
        #[arg(long)]
        rate: Option<u64>,
    },
    /// Speak first, then echo
    Greeting {
        #[command(flatten)]
        place: Place,
        /// The line to be said; CR LF follows
        #[arg(long, default_value = "220 ready")]
        text: String,
    },
    /// Read one chunk, answer 100 bytes, close with unread bytes: a reset
    AnswerThenReset(Place),
    /// Accept, and never read
    BlackHole(Place),
    /// Record PROXY headers and first bytes; print them as lines of JSON at the end
    Recorder(Place),
}

/// Where an endpoint listens.
#[derive(Args)]
struct Place {
    /// Address and port; port 0: a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS, with a certificate of the CA in this directory
    #[arg(long, value_name = "DIRECTORY")]
    ca: Option<PathBuf>,
    /// A name or address in the certificate (repeatable)
    #[arg(long = "san", value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Args)]
struct Apiserver {
    #[command(flatten)]
    place: Place,
    /// What it calls itself
    #[arg(long)]
    name: String,
    /// A Unix socket that takes commands such as `readyz 500`
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Each connection must begin with a PROXY header
    #[arg(long)]
    expect_proxy: bool,
    /// How long it goes on accepting after SIGTERM
    #[arg(long, default_value = "0", value_parser = parse_duration)]
    shutdown_delay: Duration,
    /// How long running requests may go on after that
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    grace: Duration,
    /// How long watches may go on after that
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    watch_grace: Duration,
    /// Events a second of a watch
    #[arg(long, default_value_t = 10.0)]
    watch_rate: f64,
    /// How many of a thousand HTTP/2 requests make their connection go away
    #[arg(long, default_value_t = 0)]
    goaway_per_mille: u32,
    /// A fault to start with, such as `first-byte 800ms` (repeatable)
    #[arg(long = "fault", value_name = "COMMAND")]
    faults: Vec<String>,
}

fn main() -> ExitCode {
    let _ = raise_file_limit();
    match run(Command::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eclusa-fake: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> io::Result<()> {
    match what {
        What::Ca { directory } => Ca::new().write(&directory),
        What::Apiserver(args) => apiserver(&args),
        What::Echo(place) => endpoint(&place, Kind::Echo, "echo"),
        What::EchoAfterEof(place) => endpoint(&place, Kind::EchoAfterEof, "echo-after-eof"),
        What::Source { place, seed, bytes } => {
            endpoint(&place, Kind::Source { seed, bytes }, "source")
        }
        What::Sink { place, seed, rate } => endpoint(&place, Kind::Sink { seed, rate }, "sink"),
        What::Greeting { place, text } => {
            endpoint(&place, Kind::Greeting(format!("{text}\r\n").into_bytes()), "greeting")
        }
        What::AnswerThenReset(place) => {
            endpoint(&place, Kind::AnswerThenReset, "answer-then-reset")
        }
        What::BlackHole(place) => endpoint(&place, Kind::BlackHole, "black-hole"),
        What::Recorder(place) => endpoint(&place, Kind::Recorder, "recorder"),
    }
}

impl Place {
    fn certificate(&self) -> io::Result<Option<eclusa_testkit::ca::Leaf>> {
        let Some(directory) = &self.ca else { return Ok(None) };
        let ca = Ca::load(directory).map_err(|error| {
            let directory = directory.display();
            io::Error::new(
                error.kind(),
                format!(
                    "no CA in {directory} ({error}); make one with `eclusa-fake ca {directory}`"
                ),
            )
        })?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        Ok(Some(ca.leaf(&names)))
    }
}

fn endpoint(place: &Place, kind: Kind, name: &str) -> io::Result<()> {
    let signals = Signals::new()?;
    let endpoint = match place.certificate()? {
        Some(leaf) => Endpoint::start_tls(place.listen, kind, &leaf)?,
        None => Endpoint::start(place.listen, kind)?,
    };
    ready(endpoint.address(), name)?;
    signals.wait()?;
    for recorded in endpoint.recorded() {
        println!("{}", serde_json::to_string(&recorded)?);
    }
    Ok(())
}

fn apiserver(args: &Apiserver) -> io::Result<()> {
    let signals = Signals::new()?;
    let mut faults = Faults::default();
    for line in &args.faults {
        faults.apply(line).map_err(|error| io::Error::other(format!("--fault: {error}")))?;
    }
    let settings = Settings {
        certificate: args.place.certificate()?,
        expect_proxy: args.expect_proxy,
        shutdown_delay: args.shutdown_delay,
        grace: args.grace,
        watch_grace: args.watch_grace,
        watch_rate: args.watch_rate,
        goaway_per_mille: args.goaway_per_mille,
        faults,
        ..Settings::plain(&args.name)
    };
    let master = ApiServer::start(args.place.listen, settings)?;
    let control = args.control.as_ref().map(|path| master.listen_for_commands(path)).transpose()?;
    ready(master.address(), "apiserver")?;
    // A command can end it as well as a signal: both are looked at.
    if signals.wait_or(|| master.is_stopped())? == Ended::Gracefully {
        master.terminate();
        master.wait_stopped(args.shutdown_delay + args.grace + SPARE);
    }
    drop(control);
    Ok(())
}

fn ready(address: SocketAddr, kind: &str) -> io::Result<()> {
    let line = serde_json::json!({ "address": address.to_string(), "kind": kind });
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What has asked for the end.
#[derive(PartialEq, Eq)]
enum Ended {
    Gracefully,
    AtOnce,
}

/// SIGTERM and SIGINT, watched from before the line that says "ready".
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(inside);
        Ok(Self { runtime, terminate, interrupt })
    }

    fn wait(self) -> io::Result<Ended> {
        self.wait_or(|| false)
    }

    /// Waits for a signal, or for `stopped`.
    fn wait_or(mut self, stopped: impl Fn() -> bool) -> io::Result<Ended> {
        let mut look = || {
            self.runtime.block_on(async {
                tokio::select! {
                    _ = self.terminate.recv() => Some(Ended::Gracefully),
                    _ = self.interrupt.recv() => Some(Ended::AtOnce),
                    () = tokio::time::sleep(Duration::from_millis(50)) => None,
                }
            })
        };
        loop {
            if let Some(ended) = look() {
                return Ok(ended);
            }
            if stopped() {
                return Ok(Ended::AtOnce);
            }
        }
    }
}
