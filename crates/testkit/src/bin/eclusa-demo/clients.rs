//! Clients as a cluster has them: kubelets that keep one connection, pods that come and go.

use eclusa_testkit::background::Background;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// From one request of a client to its next.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client waits for a connection, and for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests of a pod on one connection.
const POD_REQUESTS: u32 = 10;

/// What the clients have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Answered with 200.
    pub(crate) requests: u64,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// Connections that ended under a client, which then made another and asked again.
    pub(crate) reconnects: u64,
    /// Connections that were not made, and requests not answered in time or with an error.
    pub(crate) failed: u64,
}

impl Tally {
    /// Requests a second since an earlier tally.
    pub(crate) fn rate_since(&self, earlier: &Self, elapsed: Duration) -> f64 {
        let requests = u32::try_from(self.requests - earlier.requests).unwrap_or(u32::MAX);
        f64::from(requests) / elapsed.as_secs_f64().max(1e-3)
    }
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    connections: AtomicU64,
    reconnects: AtomicU64,
    failed: AtomicU64,
}

/// All clients, on a thread of their own; gone when dropped.
pub(crate) struct Clients {
    counters: Arc<Counters>,
    _thread: Background,
}

impl Clients {
    pub(crate) fn start(
        count: u32,
        target: SocketAddr,
        tls: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let all = counters.clone();
        let ((), thread) = Background::start("clients", move || {
            let run = async move {
                let mut tasks = tokio::task::JoinSet::new();
                for number in 0..count {
                    let client = Client {
                        target,
                        tls: TlsConnector::from(tls.clone()),
                        counters: all.clone(),
                        // Every third is a pod.
                        requests: if number % 3 == 2 { POD_REQUESTS } else { u32::MAX },
                    };
                    // Not all in the same moment.
                    let after = PAUSE * number / count;
                    tasks.spawn(async move {
                        tokio::time::sleep(after).await;
                        client.run().await;
                    });
                }
                while tasks.join_next().await.is_some() {}
            };
            Ok(((), run))
        })?;
        Ok(Self { counters, _thread: thread })
    }

    pub(crate) fn tally(&self) -> Tally {
        let counters = &self.counters;
        Tally {
            requests: counters.requests.load(Relaxed),
            connections: counters.connections.load(Relaxed),
            reconnects: counters.reconnects.load(Relaxed),
            failed: counters.failed.load(Relaxed),
        }
    }
}

struct Client {
    target: SocketAddr,
    tls: TlsConnector,
    counters: Arc<Counters>,
    /// On one connection.
    requests: u32,
}

/// How a connection ended for its client.
enum Ended {
    /// It has done its requests, or the master asked for another one.
    InOrder,
    /// It broke, with a request to be asked again.
    Broken,
    /// The client lost its patience with it.
    Stuck,
}

impl Client {
    async fn run(&self) {
        // The request that the connection before has lost.
        let mut again = false;
        loop {
            let Ok(Ok(stream)) = timeout(PATIENCE, self.connect()).await else {
                self.counters.failed.fetch_add(1, Relaxed);
                again = false;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            self.counters.connections.fetch_add(1, Relaxed);
            again = match self.use_up(stream, again).await {
                Ended::InOrder => false,
                // A second loss of the same request is a failure, as for any client.
                Ended::Broken if again => {
                    self.counters.failed.fetch_add(1, Relaxed);
                    false
                }
                Ended::Broken => {
                    self.counters.reconnects.fetch_add(1, Relaxed);
                    true
                }
                Ended::Stuck => {
                    self.counters.failed.fetch_add(1, Relaxed);
                    false
                }
            };
        }
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.target).await?;
        tcp.set_nodelay(true)?;
        self.tls.connect(ServerName::IpAddress(self.target.ip().into()), tcp).await
    }

    /// Asks until the connection is used up; at once where something is to be asked again.
    async fn use_up(&self, mut stream: TlsStream<TcpStream>, mut at_once: bool) -> Ended {
        let mut buffer = Vec::new();
        for _ in 0..self.requests {
            if !std::mem::take(&mut at_once) {
                tokio::time::sleep(PAUSE).await;
            }
            match timeout(PATIENCE, ask(&mut stream, &mut buffer)).await {
                Err(_) => return Ended::Stuck,
                Ok(Err(_)) => return Ended::Broken,
                Ok(Ok(answer)) => {
                    let counter =
                        if answer.ok { &self.counters.requests } else { &self.counters.failed };
                    counter.fetch_add(1, Relaxed);
                    if answer.last {
                        return Ended::InOrder;
                    }
                }
            }
        }
        // Without a proper end the master would count a broken connection.
        let _ = timeout(PATIENCE, stream.shutdown()).await;
        Ended::InOrder
    }
}

struct Answer {
    ok: bool,
    /// No further request on this connection.
    last: bool,
}

async fn ask(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> io::Result<Answer> {
    const REQUEST: &[u8] =
        b"GET /api/v1/nodes/n1 HTTP/1.1\r\nHost: kubernetes\r\nUser-Agent: eclusa-demo\r\n\r\n";
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    buffer.clear();
    loop {
        if let Some(answer) = complete(buffer)? {
            return Ok(answer);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The answer, once it is there as a whole. Fake masters always send a length.
fn complete(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let field = |name: &str| {
        head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| *key == name))
    };
    let length = field("content-length").and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    let last = field("connection").is_some_and(|(_, value)| value.trim() == "close");
    let ok = head.split(' ').nth(1) == Some("200");
    Ok((bytes.len() >= end + 4 + length).then_some(Answer { ok, last }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
        for cut in 0..whole.len() {
            assert!(complete(&whole[..cut]).unwrap().is_none(), "{cut} bytes");
        }
        let answer = complete(whole).unwrap().unwrap();
        assert!(answer.ok && answer.last);
        let other = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n";
        let answer = complete(other).unwrap().unwrap();
        assert!(!answer.ok && !answer.last);
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
