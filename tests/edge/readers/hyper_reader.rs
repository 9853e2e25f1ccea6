//! hyper's server.

use eclusa_testkit::background::Background;
use eclusa_testkit::netns::Host;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpListener;

pub(super) fn start(host: &Host, address: SocketAddr) -> Background {
    let listener = host.enter(|| std::net::TcpListener::bind(address)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let start = || Ok(((), serve(TcpListener::from_std(listener)?)));
    Background::start("hyper", start).unwrap().1
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut builder = http1::Builder::new();
        builder.half_close(true).max_headers(1000).header_read_timeout(None);
        let connection = builder.serve_connection(TokioIo::new(stream), service_fn(read));
        // A connection that breaks has been read so far.
        tokio::task::spawn_local(async move { drop(connection.await) });
    }
}

async fn read(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let length = body.collect().await?.to_bytes().len();
    let read = format!("{} {} {length}", head.method, head.uri);
    let answer = Response::builder().header("X-Read", read).body(Empty::new());
    Ok(answer.unwrap_or_default())
}
