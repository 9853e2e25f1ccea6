//! A client that speaks HTTP/2 by prior knowledge, one stream at a time or several.

use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::Host;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Error, Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request};
use hyper::body::Bytes;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    /// How it has ended.
    ended: JoinHandle<Result<(), Error>>,
}

/// A response, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// Runs `work` on a runtime of its own.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, work).await.unwrap() })
}

/// Waits until `condition` holds, while the connections of this runtime go on.
pub(crate) async fn wait(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// A request without a body's length.
pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://app.test{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

impl Client {
    /// A connection of `host`.
    pub(crate) async fn open(host: &Host, to: SocketAddr) -> Self {
        Self::open_as(host, to, &Builder::new()).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn open_as(host: &Host, to: SocketAddr, settings: &Builder) -> Self {
        let stream = try_connect(host, to, PATIENCE).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        let (send, connection) = settings.handshake(stream).await.unwrap();
        let ended = tokio::spawn(connection);
        Self { send: send.ready().await.unwrap(), ended }
    }

    /// Sends the head of a request.
    pub(crate) async fn begin(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Error> {
        self.send = self.send.clone().ready().await?;
        self.send.send_request(request, ends)
    }

    /// Asks for a path, and reads the answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, Error> {
        let (response, _) = self.begin(request(Method::GET, path), true).await?;
        read(response).await
    }

    /// How the connection has ended.
    pub(crate) async fn end(self) -> Result<(), Error> {
        drop(self.send);
        self.ended.await.unwrap()
    }

    /// The same, when it is the edge that ends it.
    pub(crate) async fn is_ended(&mut self) -> Result<(), Error> {
        (&mut self.ended).await.unwrap()
    }
}

/// Reads an answer to its end.
pub(crate) async fn read(response: ResponseFuture) -> Result<Answer, Error> {
    let (head, mut body) = response.await?.into_parts();
    let (bytes, trailers) = read_body(&mut body).await?;
    let fields = head.headers;
    Ok(Answer { status: head.status.as_u16(), fields, body: bytes, trailers })
}

/// Reads a body to its end, and its trailers.
pub(crate) async fn read_body(body: &mut RecvStream) -> Result<(Vec<u8>, HeaderMap), Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, body.trailers().await?.unwrap_or_default()))
}

/// Sends all of `bytes`, as the windows allow it, or what is taken of them.
pub(crate) async fn send_all(stream: &mut SendStream<Bytes>, bytes: &[u8], ends: bool) {
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let mut room = stream.capacity();
        if room == 0 {
            let more = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
            let Some(Ok(more)) = more else { return };
            room = more;
        }
        let piece = rest.split_to(room.min(rest.len()));
        let is_last = ends && rest.is_empty();
        if stream.send_data(piece, is_last).is_err() {
            return;
        }
    }
}

/// The code that a stream was reset with.
pub(crate) fn reset_of(error: &Error) -> Option<Reason> {
    error.reason().filter(|_| error.is_reset())
}
