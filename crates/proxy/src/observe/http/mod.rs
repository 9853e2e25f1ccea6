//! The listener that is asked: figures and health over HTTP/1, GET and HEAD, on the control thread.
//! Bounded in connections, in the size of a request, and in time.

mod answer;
mod vip;

use crate::engine::{Order, Shared};
use answer::answer;
use eclusa_config::plan::Observe;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_local;
use tokio::time::timeout;
use vip::Vip;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// The kernel's queue.
const BACKLOG: i32 = 64;
/// Bytes of a request's head.
const HEAD: usize = 8 * 1024;
/// Time for a request's head, the wait for it included.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// A connection's life; afterwards the answer under way ends it, or [`LAST_ANSWER`] does.
const LIFE: Duration = Duration::from_secs(300);
const LAST_ANSWER: Duration = Duration::from_secs(15);
/// Pause after this host ran out of descriptors: an accept that fails at once would spin.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Opens a socket to be asked on.
///
/// # Errors
/// When the address cannot be had.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // As everywhere here: `[::]` does not take IPv4.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every answer is made from.
struct Site {
    shared: Arc<Shared>,
    vip: Vip,
    /// Whether HAProxy's table is answered, and the names of its exporter.
    haproxy: (bool, bool),
}

/// Answers on these sockets, those of `observe`, until the engine ends.
pub(crate) fn start(shared: &Arc<Shared>, sockets: Vec<StdListener>, observe: Observe) {
    if sockets.is_empty() {
        return;
    }
    let haproxy = (observe.haproxy_stats, observe.haproxy_names);
    let site = Rc::new(Site { shared: shared.clone(), vip: Vip::new(observe.peer), haproxy });
    // Who carries nothing holds no address.
    if shared.tap().is_none() {
        spawn_local(vip::watch(site.clone()));
    }
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    for socket in sockets {
        spawn_local(serve(site.clone(), socket, permits.clone()));
    }
}

async fn serve(site: Rc<Site>, socket: StdListener, permits: Arc<Semaphore>) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return site.shared.warn(format!("nobody can ask for figures: {error}")),
    };
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(connection(site.clone(), stream, permit));
            }
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

async fn connection(site: Rc<Site>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    // A page goes out in a few writes: none should wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| std::future::ready(respond(&site, &request)));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    if timeout(LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        // What went wrong with a client's connection is the client's.
        let _ = timeout(LAST_ANSWER, connection).await;
    }
}

#[allow(clippy::unnecessary_wraps, reason = "hyper wants a result")]
fn respond(site: &Site, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let allowed = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, text) = if allowed {
        answer(site, request.uri().path(), request.uri().query())
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".to_owned())
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !allowed {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}

/// Waits until the engine ends.
pub(crate) async fn until_stopped(mut orders: watch::Receiver<Order>) {
    // An engine that is gone without a word wants an end, too.
    let _ = orders.wait_for(|order| *order == Order::Stop).await;
}
