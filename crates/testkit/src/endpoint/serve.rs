//! The accept loop of an endpoint, and its numbers.

use super::{Kind, Recorded, steps};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A pause after the system could not accept: no descriptor is left.
const AFTER_ERROR: Duration = Duration::from_millis(20);
/// Connections that a recorder keeps.
const RECORDED: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) accepted: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    recorded: Mutex<Vec<Recorded>>,
}

impl Shared {
    /// A panic elsewhere has its own message: the records stay readable.
    pub(super) fn recorded(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new connection of a recorder; `None`: there are too many.
    fn record(&self, peer: SocketAddr) -> Option<usize> {
        let mut recorded = self.recorded();
        if recorded.len() >= RECORDED {
            return None;
        }
        recorded.push(Recorded {
            peer,
            header: None,
            header_bytes: Vec::new(),
            first: Vec::new(),
            malformed: None,
        });
        Some(recorded.len() - 1)
    }
}

/// One unit of the gauge of open connections, given back by `Drop`.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.accepted.fetch_add(1, Relaxed);
        shared.open.fetch_add(1, Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

pub(super) async fn run(
    listener: TcpListener,
    kind: Kind,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
) {
    let kind = Rc::new(kind);
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let open = Open::new(&shared);
        let record = if *kind == Kind::Recorder { shared.record(peer) } else { None };
        let (kind, tls) = (Rc::clone(&kind), tls.clone());
        tokio::task::spawn_local(async move {
            // An error is the end of this connection, and its client knows.
            let _ = connection(tcp, &kind, tls, &open.0, record).await;
        });
    }
}

async fn connection(
    tcp: TcpStream,
    kind: &Kind,
    tls: Option<TlsAcceptor>,
    shared: &Shared,
    record: Option<usize>,
) -> io::Result<()> {
    // Fails only on a socket that is already gone.
    let _ = tcp.set_nodelay(true);
    match tls {
        None => steps::serve(tcp, kind, shared, record).await,
        // Boxed: only sessions with TLS pay for it.
        Some(tls) => {
            let stream = Box::pin(tls.accept(tcp)).await?;
            Box::pin(steps::serve(stream, kind, shared, record)).await
        }
    }
}
