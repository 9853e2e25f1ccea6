//! An engine in front of plain endpoints.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod ask;
pub mod probed;

use eclusa_config::plan::{
    Confine, DeadPeer, Dial, Endpoint, EndpointAddress, ListenAddress, Listener, Log, LogTarget,
    Peek, Plan, Pool, PoolHttp, Probe, Program, Queue, Route,
};
use eclusa_policy::balance::Algorithm;
use eclusa_policy::condition::Condition;
use eclusa_policy::route::Target;
use eclusa_policy::verdict::Settings;
use eclusa_proxy::engine::{Engine, ReloadError, Reloaded};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub struct Balancer {
    engine: Option<Engine>,
    plan: Plan,
    address: SocketAddr,
    log: PathBuf,
}

impl Balancer {
    /// Starts an engine with one listener and one pool of plain endpoints, as `change` wants it.
    pub fn start(endpoints: &[SocketAddr], change: impl FnOnce(&mut Plan)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("eclusa-{}-{number}.log", std::process::id()));
        let address = ask::free_address();
        let mut plan = plan(address, endpoints, log.clone());
        change(&mut plan);
        let engine = Engine::start(&plan).expect("the engine starts");
        let address = engine.local_addresses()[0];
        Self { engine: Some(engine), plan, address, log }
    }

    /// Reloads with the plan changed; it is the plan from then on, unless it is refused.
    pub fn reload(&mut self, change: impl FnOnce(&mut Plan)) -> Result<Reloaded, ReloadError> {
        let mut plan = self.plan.clone();
        change(&mut plan);
        let reloaded = self.engine().reload(&plan, false)?;
        self.plan = plan;
        Ok(reloaded)
    }

    /// Lets `with` have the plan of an engine that is not started.
    pub fn plan_only(with: impl FnOnce(&mut Plan)) {
        let log = std::env::temp_dir().join(format!("eclusa-{}-none.log", std::process::id()));
        let mut plan = plan(unused_address(), &[unused_address()], log.clone());
        with(&mut plan);
        let _ = std::fs::remove_file(log);
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it runs until it is stopped")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("the balancer listens")
    }

    pub fn wait_for_sessions(&self, wanted: u32) {
        let count = || self.engine().status().sessions.iter().sum::<u32>();
        wait_until("the number of sessions", || count() == wanted);
    }

    /// The events of a kind that the log holds by now, in order.
    pub fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.log).expect("the log is there");
        // The last line may be on its way.
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &serde_json::Value| line["event"] == kind).collect()
    }

    /// Stops the engine and returns the records of its sessions.
    pub fn stop(mut self) -> Vec<serde_json::Value> {
        if let Some(engine) = self.engine.take() {
            engine.stop(|| true);
        }
        let text = std::fs::read_to_string(&self.log).expect("the log is there");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &serde_json::Value| line["event"] == "session").collect()
    }
}

impl Balancer {
    /// Stops the engine in order, on a thread of its own.
    pub fn stop_in_background(&mut self) -> thread::JoinHandle<()> {
        let engine = self.engine.take().expect("it runs until it is stopped");
        thread::spawn(move || engine.stop(|| false))
    }
}

/// An endpoint that answers no SYN: its accept queue is full.
pub struct Silent {
    address: SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

impl Silent {
    pub fn new() -> Self {
        let kind = socket2::Type::STREAM;
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, kind, None).expect("a socket");
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().ok().and_then(|a| a.as_socket()).expect("an address");
        let connect = || {
            let client = socket();
            client.set_nonblocking(true).expect("a socket option");
            let _ = client.connect(&address.into());
            client
        };
        Self { address, _waiting: (0..4).map(|_| connect()).collect(), _listener: listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Writes until nothing more is taken for a while.
pub fn fill(stream: &TcpStream) {
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut writing = stream;
    while writing.write(&[b'x'; 65536]).is_ok() {}
}

/// Lets time pass, for tests whose subject that is.
#[allow(clippy::disallowed_methods, reason = "the passing of time is the subject")]
pub fn let_pass(duration: Duration) {
    thread::sleep(duration);
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop(|| true);
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

fn plan(listen: SocketAddr, endpoints: &[SocketAddr], log: PathBuf) -> Plan {
    Plan {
        lame_duck: Duration::ZERO,
        allow_shrink: false,
        program: Program::Edge,
        workers: Some(1),
        sessions_max: None,
        run_directory: Some(std::env::temp_dir().join("eclusa-tests")),
        stop_deadline: Duration::from_secs(1),
        confine: Confine::Off,
        log: Log::to(LogTarget::File(log)),
        admin: None,
        haproxy_socket: None,
        observe: Default::default(),
        dashboard: Default::default(),
        listeners: vec![listener(listen)],
        pools: vec![Arc::new(pool(endpoints))],
        errors: vec![],
        counters: vec![],
        lists: vec![],
    }
}

/// A listener of which all goes to the first pool.
pub fn listener(address: SocketAddr) -> Listener {
    Listener {
        name: "test".into(),
        addresses: vec![ListenAddress { address, optional: false }],
        peek: Peek::None,
        preamble_timeout: Duration::from_secs(5),
        proxy_from: None,
        access: Default::default(),
        tls: None,
        http: None,
        routes: vec![Route { when: Condition::Always, target: Target::Pool(0) }],
        idle_timeout: None,
        half_closed_timeout: Duration::from_secs(30),
        dead_peer: DeadPeer {
            keepalive_idle: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(10),
            keepalive_count: 3,
            no_ack: Duration::from_secs(30),
        },
        backlog: 1024,
    }
}

/// A pool of plain endpoints that nobody probes.
pub fn pool(endpoints: &[SocketAddr]) -> Pool {
    let endpoint = |address: &SocketAddr| Endpoint {
        name: address.to_string().into(),
        address: EndpointAddress::Socket(*address),
        weight: 1,
        backup: false,
        sessions_max: None,
    };
    Pool {
        name: "pool".into(),
        endpoints: endpoints.iter().map(endpoint).collect(),
        balance: Algorithm::RoundRobin,
        send_proxy: None,
        source: vec![],
        within: None,
        tls: None,
        http: PoolHttp::default(),
        dial: Dial { timeout: Duration::from_secs(5), tries: 3, hedge_after: None },
        probe: Probe::None,
        judge: Settings::edge_tcp(),
        replay: None,
        queue: Queue { length: 100, timeout: Duration::from_secs(5) },
        rebalance: None,
        early_ends_weigh: false,
        resolve_interval: Duration::from_secs(10),
    }
}

/// An endpoint that reads to the end and then sends everything back.
pub fn echo_after_eof() -> SocketAddr {
    serve(|mut stream| {
        let mut got = Vec::new();
        if stream.read_to_end(&mut got).is_ok() {
            let _ = stream.write_all(&got);
        }
    })
}

/// An endpoint that sends so many bytes of [`pattern`] and closes.
pub fn source(bytes: usize) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.write_all(&pattern(bytes));
    })
}

/// An endpoint that does `with` with each connection, on a thread of its own.
pub fn serve(with: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let with = Arc::new(with);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let with = with.clone();
            thread::spawn(move || with(stream));
        }
    });
    address
}

/// An address that nobody listens on.
pub fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Bytes in which every position is told from its neighbours.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Length and a checksum, for a readable comparison of large buffers.
pub fn digest(bytes: &[u8]) -> (usize, u64) {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    (bytes.len(), sum)
}

pub fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
}

/// Waits until `holds`.
#[allow(clippy::disallowed_methods, reason = "between two looks at a condition")]
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        thread::sleep(Duration::from_millis(2));
    }
}
