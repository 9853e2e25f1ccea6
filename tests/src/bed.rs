//! The cluster with `eclusa-edge` in it, and the connections of a test.

use crate::product::{Product, Program};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::stream::Stream;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The virtual address of the endpoints, on worker1.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
/// A read or write that takes longer than this has failed: no test hangs.
pub const STUCK: Duration = Duration::from_secs(90);

/// A listener on `port` and a pool of one endpoint behind it; `more` are keys of the listener.
pub fn carry(port: u16, endpoint: SocketAddr, more: &str) -> String {
    format!(
        "[listener.p{port}]\nlisten = [\"0.0.0.0:{port}\"]\npool = \"p{port}\"\npeek = \"none\"\n\
         {more}\n[pool.p{port}]\nendpoints = [\"{endpoint}\"]\nprobe = {{ kind = \"none\" }}\n\n"
    )
}

/// [`carry`] for several ports, each to the same port of the virtual address.
pub fn carry_all(ports: &[u16]) -> String {
    ports.iter().map(|port| carry(*port, (VIP, *port).into(), "")).collect()
}

/// The edge in its cluster.
#[derive(Debug)]
pub struct Bed {
    /// Before the cluster: a namespace lives as long as a process is in it.
    pub edge: Product,
    /// Its hosts.
    pub cluster: Cluster,
}

impl Bed {
    /// Starts the edge with `config`; `None` where the machine has no namespaces.
    #[track_caller]
    pub fn start(test: &str, config: &str) -> Option<Self> {
        if skipped(test) {
            return None;
        }
        let shape = Shape { masters: 0, workers: 2, ..Shape::default() };
        let cluster = Cluster::new(shape).expect("a cluster");
        let edge = Program::Edge.start(Some(&cluster.host("edge")), config);
        Some(Self { edge, cluster })
    }

    /// The host called `name`.
    #[track_caller]
    pub fn host(&self, name: &str) -> Host {
        self.cluster.host(name)
    }

    /// An endpoint on the virtual address.
    #[track_caller]
    pub fn endpoint(&self, port: u16, kind: Kind) -> Endpoint {
        let start = || Endpoint::start((VIP, port).into(), kind);
        self.host("worker1").enter(start).expect("an endpoint")
    }

    /// A listener of the test's own on a host; an accept that takes too long fails as well.
    #[track_caller]
    pub fn listener(&self, host: &str, address: SocketAddr) -> TcpListener {
        let listener = self.host(host).enter(|| TcpListener::bind(address)).expect("a listener");
        SockRef::from(&listener).set_read_timeout(Some(STUCK)).expect("a socket");
        listener
    }

    /// A connection from `host` to the edge, as a client makes it.
    #[track_caller]
    pub fn connect(&self, host: &str, port: u16) -> TcpStream {
        self.try_connect(host, port).expect("a connection to the edge")
    }

    /// The same, which may fail.
    pub fn try_connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let host = self.host(host);
        connect_to(&host, (self.edge_seen_from(&host), port).into(), None)
    }

    /// The same with a small receive buffer.
    #[track_caller]
    pub fn connect_narrow(&self, host: &str, port: u16, buffer: usize) -> TcpStream {
        let host = self.host(host);
        let address = (self.edge_seen_from(&host), port).into();
        connect_to(&host, address, Some(buffer)).expect("a connection to the edge")
    }

    /// Hosts outside see its leg in the DMZ, workers the one in the cluster.
    fn edge_seen_from(&self, host: &Host) -> Ipv4Addr {
        let edge = self.host("edge");
        let inside = host.name().starts_with("worker");
        let cluster = eclusa_testkit::netns::Network::Cluster;
        edge.address_in(cluster).filter(|_| inside).unwrap_or(edge.address())
    }

    /// Pipes that the edge holds: splice needs one, a copy none.
    pub fn pipes(&self) -> usize {
        descriptors(self.edge.engine_pid())
            .iter()
            .filter(|target| target.starts_with("pipe:"))
            .count()
    }

    /// All other descriptors that it holds.
    pub fn other_descriptors(&self) -> usize {
        descriptors(self.edge.engine_pid())
            .iter()
            .filter(|target| !target.starts_with("pipe:"))
            .count()
    }
}

/// What the descriptors of a process lead to.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the edge runs");
    let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).collect()
}

/// Connects from `host`; nothing on the connection waits for longer than [`STUCK`].
pub fn connect_to(host: &Host, to: SocketAddr, buffer: Option<usize>) -> io::Result<TcpStream> {
    host.enter(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer)?;
        }
        socket.connect_timeout(&SockAddr::from(to), STUCK)?;
        patient(socket.into(), STUCK)
    })
}

/// `tcp`, on which nothing waits for longer than `limit`.
pub fn patient(tcp: TcpStream, limit: Duration) -> io::Result<TcpStream> {
    tcp.set_read_timeout(Some(limit))?;
    tcp.set_write_timeout(Some(limit))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Closes with a reset.
pub fn reset(tcp: TcpStream) {
    SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// Whether this is how a reset looks to who writes or reads.
pub fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Sends the bytes `from..to` of the stream `seed`.
pub fn send(mut tcp: &TcpStream, seed: u64, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = from;
    while offset < to {
        let part = (to - offset).min(buffer.len() as u64) as usize;
        Stream::new(seed).fill(offset, &mut buffer[..part]);
        tcp.write_all(&buffer[..part])?;
        offset += part as u64;
    }
    Ok(())
}

/// Reads exactly the bytes `from..to` of the stream `seed`, and compares each.
pub fn receive(mut tcp: &TcpStream, seed: u64, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = from;
    while offset < to {
        let part = (to - offset).min(buffer.len() as u64) as usize;
        let read = tcp.read(&mut buffer[..part])?;
        if read == 0 {
            let what = format!("the end came at byte {offset} of {to}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        Stream::new(seed)
            .check(offset, &buffer[..read])
            .map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong.to_string()))?;
        offset += read as u64;
    }
    Ok(())
}

/// Reads the end that must come now.
pub fn receive_end(mut tcp: &TcpStream) -> io::Result<()> {
    match tcp.read(&mut [0; 1])? {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a byte behind the end")),
    }
}

/// Mebibytes as bytes.
pub const fn mebibytes(count: u64) -> u64 {
    count * 1024 * 1024
}
