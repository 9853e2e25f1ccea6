//! The accept loop, the life of a fake apiserver, and that of one connection.

use super::answer::{Link, answer};
use super::shared::{Gauge, Held, Phase, Shared};
use super::wire;
use crate::background::OnThisThread;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A pause after the system could not accept or listen: no descriptor is left, or another
/// program has taken the address meanwhile.
const AFTER_ERROR: Duration = Duration::from_millis(20);
/// `handshake_failure`, fatal, as a record of TLS 1.2 (RFC 5246, sections 6.2.1 and 7.2).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// HTTP/2 streams at once, as golang's server of Kubernetes allows.
const STREAMS: u32 = 250;

pub(super) use crate::background::listen;

/// Serves until the graceful end is complete.
pub(super) async fn run(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut phase = shared.phase.subscribe();
    let leave = async {
        let _ = phase.wait_for(|phase| *phase >= Phase::Leaving).await;
        sleep(shared.settings.shutdown_delay).await;
    };
    tokio::select! {
        biased;
        () = leave => {}
        // Its end closes the listener.
        never = accept(listener, address, &shared, &mut connections) => match never {},
    }
    shared.phase.send_replace(Phase::Closed);
    let all = async { while connections.join_next().await.is_some() {} };
    // What is left after the grace is cut: the set is dropped.
    let _ = timeout(shared.settings.grace, all).await;
    drop(connections);
    shared.phase.send_replace(Phase::Stopped);
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let mut faults = shared.faults.subscribe();
    let mut listener = Some(listener);
    loop {
        let Some(open) = &listener else {
            let _ = faults.wait_for(|faults| !faults.refuse).await;
            listener = listen(address).ok();
            if listener.is_none() {
                sleep(AFTER_ERROR).await;
            }
            continue;
        };
        tokio::select! {
            biased;
            _ = faults.wait_for(|faults| faults.refuse) => listener = None,
            Some(_) = connections.join_next() => {}
            accepted = open.accept() => match accepted {
                Ok((tcp, peer)) => {
                    count(shared);
                    connections.spawn_local(connection(tcp, peer, Arc::clone(shared)));
                }
                Err(_) => sleep(AFTER_ERROR).await,
            },
        }
    }
}

fn count(shared: &Shared) {
    shared.count.connections.fetch_add(1, Relaxed);
    if *shared.phase.borrow() >= Phase::Leaving {
        shared.count.late_connections.fetch_add(1, Relaxed);
    }
}

async fn connection(tcp: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let _open = Held::new(&shared, Gauge::Open);
    let mut cut = shared.cut.subscribe();
    tokio::select! {
        biased;
        _ = cut.changed() => {}
        // An error is the end of this connection, and its client knows.
        _ = Box::pin(talk(tcp, peer, Arc::clone(&shared))) => {}
    }
}

async fn talk(mut tcp: TcpStream, peer: SocketAddr, shared: Arc<Shared>) -> io::Result<()> {
    // Fails only on a socket that is already gone.
    let _ = tcp.set_nodelay(true);
    let faults = shared.faults.borrow().clone();
    wire::gate(&shared).await;
    let mut client = peer;
    if shared.settings.expect_proxy {
        client = wire::read_proxy_header(&mut tcp).await?.source.unwrap_or(peer);
    }
    if faults.reset || faults.alert {
        tcp.read_u8().await?;
        if faults.alert {
            tcp.write_all(&ALERT).await?;
            return wire::linger(tcp).await;
        }
        wire::reset_on_drop(&tcp);
        return Ok(());
    }
    let (outer, inner) = tokio::io::duplex(wire::BUFFER);
    let pump = wire::pump(tcp, inner, Arc::clone(&shared));
    let inside = async {
        Box::pin(handshake(outer, client, shared)).await;
        // The pump sees that `outer` is gone, and says when the last byte is out.
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        () = pump => Ok(()),
        never = inside => match never {},
    }
}

async fn handshake(stream: DuplexStream, client: SocketAddr, shared: Arc<Shared>) {
    let Some(tls) = shared.tls.clone() else {
        return Box::pin(http(stream, client, shared)).await;
    };
    match TlsAcceptor::from(tls).accept(stream).await {
        Ok(stream) => Box::pin(http(stream, client, shared)).await,
        Err(_) => {
            shared.count.failed_handshakes.fetch_add(1, Relaxed);
        }
    }
}

/// Speaks HTTP until the connection ends or has been asked to go away and is done.
async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    client: SocketAddr,
    shared: Arc<Shared>,
) {
    let mut builder = auto::Builder::new(OnThisThread);
    builder.http2().max_concurrent_streams(STREAMS);
    let away = Rc::new(Notify::new());
    let link = Link { shared: Arc::clone(&shared), client, away: Rc::clone(&away) };
    let service = service_fn(move |request| {
        let link = link.clone();
        async move { Ok::<_, Infallible>(answer(request, &link).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut goaway = shared.goaway.subscribe();
    let mut phase = shared.phase.subscribe();
    tokio::select! {
        _ = connection.as_mut() => return,
        () = away.notified() => {}
        _ = goaway.changed() => {}
        _ = phase.wait_for(|phase| *phase >= Phase::Closed) => {}
    }
    connection.as_mut().graceful_shutdown();
    // An error is the end of this connection, and its client knows.
    let _ = connection.await;
}
