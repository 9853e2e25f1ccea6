//! What a connection holds that has had its answers and rests.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, size};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::ca::client_that_trusts_anybody;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_until;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// Where the edge speaks TLS.
const SECURE: SocketAddr = SocketAddr::new(PLAIN.ip(), 443);
/// Connections that fill first what is kept for all.
const WARM: usize = 200;

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

#[test]
fn idle_connections_hold_little() {
    if skipped("idle_connections_hold_little") {
        return;
    }
    let _ = raise_file_limit();
    let bed = Bed::without_nginx("");
    let count = size(5_000, 1_000);
    let held = held_by(&bed, count, || {
        let mut wire = Wire::here().unwrap();
        assert_eq!(wire.get("app.test", "/idle").unwrap().status, 200);
        wire
    });
    record("plain", count, held, size(2, 4));
    // Clients are not to hold the connections to endpoints with them.
    let kept = bed.recorder.open();
    assert!(kept <= 64 * 16, "{kept} connections to the endpoint");
    let config = client_that_trusts_anybody(&[]);
    let count = size(5_000, 200);
    let held = held_by(&bed, count, || ask_in_tls(&config).unwrap());
    record("TLS", count, held, size(12, 16));
    wait_until(PATIENCE, "an answer", || {
        bed.connect().get("app.test", "/after").is_ok_and(|reply| reply.status == 200)
    });
}

/// Resident bytes of each of so many connections.
fn held_by<T: Send>(bed: &Bed, count: usize, connect: impl Fn() -> T + Sync) -> u64 {
    let connect =
        |count: usize| -> Vec<T> { bed.client.enter(|| (0..count).map(|_| connect()).collect()) };
    let resident = || bed.edge.memory().unwrap().resident;
    let _warm = connect(WARM);
    let before = resident();
    let _idle = connect(count);
    resident().saturating_sub(before) / count as u64
}

fn record(how: &str, count: usize, held: u64, most: u64) {
    let of = if full() { "" } else { ", unoptimised" };
    Item::new(format!("5.6 resident memory of an idle kept connection, {how}"))
        .bound(format!("at most {most} KiB{of}"))
        .n(count)
        .record(held <= most << 10, format!("{held} bytes"));
}

/// A connection over TLS that has had an answer.
pub(crate) fn ask_in_tls(config: &Arc<ClientConfig>) -> io::Result<Tls> {
    let name = ServerName::try_from("app.test").map_err(io::Error::other)?;
    let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&SECURE, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(tls, stream);
    stream.write_all(b"GET /idle HTTP/1.1\r\nHost: app.test\r\n\r\n")?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"/idle") {
        let mut bytes = [0; 1_024];
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        heard.extend_from_slice(&bytes[..read]);
    }
    Ok(stream)
}
