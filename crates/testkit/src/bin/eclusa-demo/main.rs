//! `eclusa-demo`: three throw-away apiservers with real TLS, the balancer in front of them,
//! clients, and a live line of what happens. No configuration, no root; it cleans up.
//!
//! ```text
//! clients ── 127.0.0.1:6443 (the engine of eclusa-apiserver) ── master1, master2, master3
//! ```

mod balancer;
mod clients;
mod keys;
mod masters;
mod screen;
mod script;

use balancer::Balancer;
use clap::Parser;
use clients::{Clients, Tally};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::process::Scratch;
use keys::Keys;
use masters::{Action, Masters};
use screen::Screen;
use script::Script;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long it runs with somebody at the keys, and without.
const ATTENDED: Duration = Duration::from_secs(600);
const UNATTENDED: Duration = Duration::from_secs(30);

/// Three fake Kubernetes masters behind eclusa-apiserver, on this machine's loopback only.
#[derive(Debug, Parser)]
#[command(name = "eclusa-demo", version)]
struct Options {
    /// Ends after this long: 30s, 5m [default: 10m; 30s when standard input is no terminal]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    limit: Option<Duration>,

    /// Clients that ask all the time; two of three keep their connection, as kubelets do
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,

    /// Where the balancer listens [default: 6443 of 127.0.0.1, or a free port]
    #[arg(long)]
    port: Option<u16>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix('m'), text.strip_suffix('s')) {
        (Some(minutes), _) => (minutes, 60),
        (_, Some(seconds)) => (seconds, 1),
        _ => (text, 1),
    };
    match number.parse::<u64>() {
        Ok(number @ 1..=86_400) => Ok(Duration::from_secs(number * unit)),
        _ => Err("a duration such as 30s or 5m, at most a day of seconds".into()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("eclusa-demo: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What stops: dropped in this order, the clients first, the files last.
struct Demo {
    clients: Clients,
    balancer: Balancer,
    masters: Masters,
    directory: Scratch,
}

impl Demo {
    fn start(options: &Options) -> Result<Self, String> {
        let directory = Scratch::new("demo").map_err(|error| format!("no directory: {error}"))?;
        let ca = Ca::new();
        let certificate = directory.write("ca.pem", ca.pem());
        certificate.map_err(|error| format!("cannot write the CA: {error}"))?;
        let masters = Masters::start(&ca).map_err(|error| format!("no master: {error}"))?;
        let balancer = Balancer::start(&masters.addresses(), options.port, &directory)?;
        let clients = Clients::start(options.clients, balancer.address(), ca.client(&[]))
            .map_err(|error| format!("no clients: {error}"))?;
        Ok(Self { clients, balancer, masters, directory })
    }
}

fn run(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let attended = std::io::stdin().is_terminal();
    let limit = options.limit.unwrap_or(if attended { ATTENDED } else { UNATTENDED });
    let screen = Screen::new();
    // Before anything that has to be cleaned up.
    let signals = runtime.block_on(async { Signals::new() });
    let signals = signals.map_err(|error| format!("cannot take signals: {error}"))?;
    let mut demo = Demo::start(options)?;
    screen.introduce(&demo.balancer, &demo.directory, attended, limit);
    let keys = attended.then(Keys::listen);
    let script = if attended { Script::empty() } else { Script::over(limit) };
    let end = runtime.block_on(watch(&mut demo, &screen, keys, script, limit, signals));
    let total = demo.clients.tally();
    screen.finish(&total, end);
    Ok(())
}

/// Why the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Time,
    Key,
    Signal,
}

/// Shows what happens until it is over.
async fn watch(
    demo: &mut Demo,
    screen: &Screen,
    mut keys: Option<Keys>,
    mut script: Script,
    limit: Duration,
    mut signals: Signals,
) -> End {
    let start = Instant::now();
    let mut tick = tokio::time::interval(screen.interval());
    let mut last = (start, Tally::default());
    let mut verdicts = demo.balancer.shares();
    loop {
        let action = tokio::select! {
            // In this order: a terminal that pours keys in must not hide the end.
            biased;
            () = signals.wait() => return End::Signal,
            _ = tick.tick() => script.due(start.elapsed()),
            key = keys::next(&mut keys) => match key {
                'q' => return End::Key,
                key => Action::of_key(key),
            },
        };
        if let Some(action) = action {
            screen.message(start.elapsed(), &demo.masters.apply(action));
        }
        let shares = demo.balancer.shares();
        for (before, now) in verdicts.iter().zip(&shares).filter(|(a, b)| a.verdict != b.verdict) {
            let change = format!("{}: {} (was {})", now.name, now.verdict, before.verdict);
            screen.message(start.elapsed(), &format!("the balancer's verdict on {change}"));
        }
        let (now, tally) = (Instant::now(), demo.clients.tally());
        // Keys come in between; a rate over a moment would say nothing.
        if now.duration_since(last.0) >= screen.interval() / 2 {
            let rate = tally.rate_since(&last.1, now.duration_since(last.0));
            screen.line(start.elapsed(), rate, &tally, &shares);
            last = (now, tally);
        }
        verdicts = shares;
        if start.elapsed() >= limit {
            return End::Time;
        }
    }
}

/// Everything that asks the demo to end.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "0", "-1s", "5h", "s", "1.5s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
