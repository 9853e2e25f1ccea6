//! An endpoint that speaks HTTP/2 by prior knowledge, and notes what it sees.

use super::client::read_body;
use eclusa_testkit::netns::Host;
use h2::ext::Protocol;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Bytes;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::Notify;

/// What an endpoint has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) requests: Mutex<Vec<String>>,
    /// Streams that were given up: their codes.
    pub(crate) resets: Mutex<Vec<Reason>>,
    /// `/refused` was refused once.
    refused: AtomicBool,
    /// The connection of the first `/freeze` stands still.
    frozen: AtomicBool,
    stop: Notify,
}

/// The endpoint; gone when dropped.
pub(crate) struct Endpoint {
    pub(crate) seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Says goodbye on each connection after `goodbye` requests.
    pub(crate) fn start(host: &Host, address: &str, goodbye: usize) -> Self {
        let listener = host.enter(|| TcpListener::bind(address)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        shared.connections.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(serve(stream, Arc::clone(&shared), goodbye));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    () = shared.stop.notified() => {}
                }
            });
        });
        Self { seen, thread: Some(thread) }
    }

    /// How many requests for `path` came.
    pub(crate) fn count(&self, path: &str) -> usize {
        let requests = self.seen.requests.lock().unwrap();
        requests.iter().filter(|request| request.contains(path)).count()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.seen.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(stream: tokio::net::TcpStream, seen: Arc<Seen>, goodbye: usize) {
    let mut builder = Builder::new();
    let shaking = builder.enable_connect_protocol().handshake::<_, Bytes>(stream);
    let Ok(mut connection) = shaking.await else { return };
    let mut count = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        count += 1;
        if request.uri().path() == "/freeze" && !seen.frozen.swap(true, Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if count == goodbye {
            connection.graceful_shutdown();
        }
        tokio::spawn(answer(request, respond, Arc::clone(&seen)));
    }
}

/// Answers with the length of the body, or as the path says.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Arc<Seen>) {
    let (head, mut body) = request.into_parts();
    let told = format!("{} {} {:?}", head.method, head.uri, head.headers);
    seen.requests.lock().unwrap().push(told);
    let path = head.uri.path().to_owned();
    if path == "/refused" && !seen.refused.swap(true, Ordering::Relaxed) {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    if path == "/reset" {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    }
    if path == "/hang" {
        let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await;
        return seen.resets.lock().unwrap().extend(reason.ok());
    }
    if path == "/begin" {
        let mut up = respond.send_response(Response::new(()), false).unwrap();
        let _ = up.send_data("begun".into(), false);
        let reason = std::future::poll_fn(|context| up.poll_reset(context)).await;
        return seen.resets.lock().unwrap().extend(reason.ok());
    }
    if head.extensions.get::<Protocol>().is_some() {
        let mut up = respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(piece)) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.len());
            let _ = up.send_data(piece, false);
        }
        let _ = up.send_data(Bytes::new(), true);
        return;
    }
    let Ok((bytes, trailers)) = read_body(&mut body).await else { return };
    let mut up = respond.send_response(Response::new(()), false).unwrap();
    let _ = up.send_data(bytes.len().to_string().into(), false);
    if trailers.is_empty() {
        let _ = up.send_data(Bytes::new(), true);
        return;
    }
    let mut back = HeaderMap::new();
    back.insert("x-trailers", HeaderValue::from(trailers.len()));
    let _ = up.send_trailers(back);
}
