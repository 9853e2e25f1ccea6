//! Probed fake apiservers behind a balancer.

use super::Balancer;
use eclusa_config::plan::{HttpProbe, Plan, Pool, Probe, Program, TlsProbe};
use eclusa_policy::verdict::{Check, Reason, Report, Settings, Verdict};
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::wait_until;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(10);
pub const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Masters behind a balancer.
pub struct Bed {
    pub masters: Vec<ApiServer>,
    pub balancer: Balancer,
    ca_file: PathBuf,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

/// What a test wants otherwise.
pub struct Wish {
    pub masters: usize,
    pub master: fn(usize, &mut Master),
    pub probe: fn(&TlsProbe) -> Probe,
    pub change: fn(&mut Plan),
    pub judge: Settings,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            masters: 3,
            master: |_, _| {},
            probe: |tls| Probe::Http(http(Some(tls))),
            change: |_| {},
            judge: Settings::apiserver(),
        }
    }
}

pub fn http(tls: Option<&TlsProbe>) -> HttpProbe {
    HttpProbe {
        tls: tls.cloned(),
        http2: false,
        checks: vec![(Check::Ready, "/readyz".into()), (Check::Live, "/livez".into())],
        method: "GET".into(),
        host: None,
        token_file: None,
        statuses: vec![(200, 299)],
        body: None,
    }
}

impl Bed {
    pub fn new(wish: Wish) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let ca = Ca::new();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eclusa-probes-{}-{number}.pem", std::process::id());
        let ca_file = std::env::temp_dir().join(name);
        std::fs::write(&ca_file, ca.pem()).expect("a file for the CA");
        let start = |index: usize| {
            let mut settings = Master::new(&format!("m{index}"), &ca.leaf(&["kubernetes"]));
            (wish.master)(index, &mut settings);
            ApiServer::start(LOCAL, settings).expect("a master")
        };
        let masters: Vec<_> = (0..wish.masters).map(start).collect();
        let addresses: Vec<_> = masters.iter().map(ApiServer::address).collect();
        let tls = TlsProbe {
            server_name: Some("kubernetes".into()),
            ca: Some(ca_file.clone()),
            client: None,
        };
        let balancer = Balancer::start(&addresses, |plan| {
            plan.program = Program::Apiserver;
            let probe = (wish.probe)(&tls);
            plan.pools[0] =
                Arc::new(Pool { probe, judge: wish.judge.clone(), ..(*plan.pools[0]).clone() });
            (wish.change)(plan);
        });
        Self { masters, balancer, ca_file }
    }

    pub fn report(&self, index: usize) -> Report {
        self.balancer.engine().status().pools[0].endpoints()[index].report()
    }

    pub fn sessions(&self, index: usize) -> u32 {
        self.balancer.engine().status().pools[0].endpoints()[index].sessions()
    }

    pub fn wait_for(&self, index: usize, verdict: Verdict, reason: Reason) -> Duration {
        let what = format!("{} of m{index} for {reason:?}", verdict.name());
        let seen = || {
            let report = self.report(index);
            (report.verdict, report.reason) == (verdict, reason)
        };
        match eclusa_testkit::wait::try_until(LIMIT, &what, seen) {
            Ok(took) => took,
            Err(error) => panic!(
                "{error}; it is {:?}; log: {:#?}",
                self.report(index),
                self.balancer.events("verdict")
            ),
        }
    }

    pub fn wait_all_up(&self) -> Duration {
        let started = std::time::Instant::now();
        for index in 0..self.masters.len() {
            self.wait_for(index, Verdict::Up, Reason::Answers);
        }
        started.elapsed()
    }

    /// Sessions that stand on every master, accepted by it (what still waits in its queue is reset
    /// when it closes its listener).
    pub fn stand(&self, sessions: u32) -> Vec<TcpStream> {
        let streams: Vec<_> = (0..sessions).map(|_| self.balancer.connect()).collect();
        let all = || (0..self.masters.len()).map(|index| self.sessions(index)).sum::<u32>();
        let accepted = |index: usize| {
            // Beside the sessions there is the probes' own connection.
            let open = self.masters[index].counters().open;
            self.sessions(index) > 0 && open > u64::from(self.sessions(index))
        };
        let stand = || all() == sessions && (0..self.masters.len()).all(accepted);
        wait_until(LIMIT, "sessions on every master", stand);
        streams
    }

    /// The verdicts of a master that were told, in order.
    pub fn told(&self, index: usize) -> Vec<String> {
        let name = self.masters[index].address().to_string();
        let events = self.balancer.events("verdict");
        let own = events.iter().filter(|event| event["endpoint"] == name.as_str());
        own.map(|event| event["verdict"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Whether a session was reset.
pub fn is_reset(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket option");
    let mut reading = stream;
    match reading.read(&mut [0; 16]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
        Ok(n) => panic!("{n} bytes"),
    }
}
