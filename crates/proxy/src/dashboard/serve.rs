//! The sockets of the dashboard and their connections: bounded in number, in the size of a request,
//! and in time.

use super::Look;
use super::answer::{Site, respond};
use super::live::Hub;
use super::patient::Patient;
use crate::admin::Peer;
use crate::observe::metrics::Unwelcome;
use eclusa_config::plan::Dashboard;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use std::cell::Cell;
use std::io;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

/// Connections beside those of viewers; further ones wait in the kernel's queue.
const BESIDE: usize = 16;
/// Bytes of a request's head.
const HEAD: usize = 8 * 1024;
/// Time for a request's head, the wait for it included.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// How long a connection waits until its other end takes something, or acknowledges it.
const STALLED: Duration = Duration::from_secs(10);
/// A connection's life. A page that is open for longer connects anew by itself.
const LIFE: Duration = Duration::from_secs(3600);
/// What the kernel holds for one connection: who takes nothing is noticed soon.
const SEND_BUFFER: usize = 256 * 1024;
/// Pause after this host ran out of descriptors: an accept that fails at once would spin.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Where it is served; sockets that listen.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Over TCP.
    pub(crate) tcp: Vec<StdListener>,
    /// A Unix socket; its file is its owner's.
    pub(crate) unix: Option<UnixListener>,
}

/// A dashboard that is served; dropped = no more, at once.
#[derive(Debug)]
pub(crate) struct Serving(Vec<JoinHandle<()>>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Begins to serve the page, on this thread's reactor, which must be a local one.
///
/// # Errors
/// The reactor does not take a socket.
pub(crate) fn serve(look: impl Look, plan: &Dashboard, places: Places) -> io::Result<Serving> {
    let connections_max = plan.viewers_max + BESIDE;
    look.metrics().dashboard_begins(plan.viewers_max, connections_max);
    let hub = Rc::new(Hub::new(look, plan.viewers_max));
    let site = Rc::new(Site::new(hub.clone(), plan));
    let permits = Arc::new(Semaphore::new(connections_max));
    let door = Rc::new(Door { permits, open: Cell::new(0) });
    let mut tasks = vec![spawn_local(hub.keep())];
    for socket in places.tcp {
        let socket = TcpListener::from_std(socket)?;
        tasks.push(spawn_local(tcp(site.clone(), door.clone(), socket)));
    }
    if let Some(socket) = places.unix {
        tasks.push(spawn_local(unix(site, door, socket)));
    }
    Ok(Serving(tasks))
}

/// Lets connections in.
struct Door {
    permits: Arc<Semaphore>,
    open: Cell<usize>,
}

impl Door {
    /// A permit for the next connection.
    async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            // Never closed.
            if let Ok(permit) = self.permits.clone().acquire_owned().await {
                return permit;
            }
        }
    }

    fn count<L: Look>(&self, site: &Site<L>, change: impl FnOnce(usize) -> usize) {
        self.open.set(change(self.open.get()));
        site.look().metrics().dashboard_connections(self.open.get());
    }
}

async fn tcp<L: Look>(site: Rc<Site<L>>, door: Rc<Door>, socket: TcpListener) {
    loop {
        let permit = door.permit().await;
        match socket.accept().await {
            Ok((stream, from)) => {
                ready(&stream);
                let by = Peer::over_http(from);
                spawn_local(connection(site.clone(), door.clone(), stream, by, permit));
            }
            Err(_) => sleep(SHORTAGE_PAUSE).await,
        }
    }
}

async fn unix<L: Look>(site: Rc<Site<L>>, door: Rc<Door>, socket: UnixListener) {
    loop {
        let permit = door.permit().await;
        match socket.accept().await {
            Ok((stream, _)) => {
                if let Ok(by) = peer(&stream) {
                    spawn_local(connection(site.clone(), door.clone(), stream, by, permit));
                }
            }
            Err(_) => sleep(SHORTAGE_PAUSE).await,
        }
    }
}

/// Who is at the other end of a Unix socket: often sshd, or a proxy.
fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let mut by = Peer::of(stream)?;
    by.from = Some("dashboard".to_owned());
    Ok(by)
}

/// Options of a connection; without them it is only slower, or held for longer.
fn ready(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    let _ = socket.set_tcp_user_timeout(Some(STALLED));
}

async fn connection<L: Look>(
    site: Rc<Site<L>>,
    door: Rc<Door>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    by: Peer,
    permit: OwnedSemaphorePermit,
) {
    door.count(&site, |open| open + 1);
    let cut = Rc::new(Notify::new());
    let service = service_fn(|request| {
        let (site, cut, by) = (site.clone(), cut.clone(), by.clone());
        async move { Ok::<_, std::convert::Infallible>(respond(&site, request, &by, cut).await) }
    });
    let serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(Patient::new(stream, STALLED)), service)
    );
    tokio::select! {
        ended = serving => {
            if ended.is_err_and(|error| is_stalled(&error)) {
                site.look().metrics().dashboard_refused(Unwelcome::Slow);
            }
        }
        () = cut.notified() => {}
        () = sleep(LIFE) => {}
    }
    drop(permit);
    door.count(&site, |open| open.saturating_sub(1));
}

/// Whether the other end took nothing for too long.
fn is_stalled(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::TimedOut;
        }
        source = cause.source();
    }
    false
}
