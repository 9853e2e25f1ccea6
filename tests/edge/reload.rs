//! Reloads under load: no exchange on a kept connection fails, no handshake, no WebSocket is cut.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::ca::client_that_trusts_anybody;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::tls::{ClientConfig, TlsClient};
use eclusa_testkit::wait::wait_until;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Where the edge opens TLS.
const SECURE: SocketAddr = SocketAddr::new(PLAIN.ip(), 443);

/// Something that a reload changes, and changes back.
const MORE: &str = r#"
[[listener.plain.rule]]
set_header = { "X-Reloaded" = "yes" }
[[listener.secure.rule]]
set_header = { "X-Reloaded" = "yes" }
[pool.added]
endpoints = ["10.0.1.105:80"]
probe = { kind = "none" }
"#;

/// How the clients of a load come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One connection for all exchanges.
    Kept,
    /// One TLS connection for all.
    KeptTls,
    /// A handshake for each exchange.
    EachTls,
}

/// A load, and what has come of it.
struct Load<'a> {
    bed: &'a Bed,
    trust: Arc<ClientConfig>,
    over: AtomicBool,
    asked: AtomicUsize,
}

#[test]
fn no_exchange_fails_while_the_configuration_changes() {
    if skipped("no_exchange_fails_while_the_configuration_changes") {
        return;
    }
    let bed = Bed::without_nginx("");
    let reloads = size(100, 20);
    let load = Load {
        bed: &bed,
        trust: client_that_trusts_anybody(&["http/1.1"]),
        over: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
    };
    let mut plain = bed.connect();
    upgrade(&mut plain);
    let mut secure = load.connect_tls().unwrap();
    upgrade(&mut secure);
    let (mut cut, mut frames) = (Vec::new(), 0);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let ways = [Way::Kept, Way::Kept, Way::KeptTls, Way::EachTls];
        let clients = ways.into_iter().enumerate();
        let clients: Vec<_> = clients
            .map(|(client, way)| {
                let load = &load;
                scope.spawn(move || load.keep_asking(client, way))
            })
            .collect();
        for number in 0..reloads {
            let before = load.asked.load(Ordering::Relaxed);
            bed.reload(if number % 2 == 0 { MORE } else { "" });
            // Each configuration serves for a while.
            wait_until(PATIENCE, "load", || {
                load.asked.load(Ordering::Relaxed) >= before + 40
                    || clients.iter().any(|client| client.is_finished())
            });
            let frame = format!("frame {number}");
            let echoed = [echoes(&mut plain, &frame), echoes(&mut secure, &frame)];
            frames += echoed.len();
            cut.extend(
                echoed.into_iter().filter_map(Result::err).map(|why| format!("{frame}: {why}")),
            );
            if !cut.is_empty() {
                break;
            }
        }
        load.over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let asked = load.asked.into_inner();
    Item::new("5.5 exchanges on kept connections, POST included, while the configuration changes")
        .bound("0 failed")
        .n(asked)
        .note(format!(
            "{reloads} reloads; two clients with plain connections, one with a TLS connection, one \
             with a handshake for each exchange"
        ))
        .record(failed.is_empty(), wrong_of(asked, &failed));
    Item::new("5.5.3 WebSockets that stand through all reloads, plain and over TLS")
        .bound("none is cut: a frame is echoed after each reload")
        .n(frames)
        .record(cut.is_empty() && frames == 2 * reloads, wrong_of(frames, &cut));
    assert!(!bed.exchanges().is_empty(), "there are records");
}

/// Makes a WebSocket of a connection.
fn upgrade<S: Read + Write>(wire: &mut Wire<S>) {
    let upgrade = "GET /socket HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\n\r\n";
    wire.say(upgrade.as_bytes()).unwrap();
    assert_eq!(wire.head().unwrap().status, 101);
}

/// Says a frame and hears it again.
fn echoes<S: Read + Write>(wire: &mut Wire<S>, frame: &str) -> io::Result<()> {
    wire.say(frame.as_bytes())?;
    let heard = wire.exactly(frame.len())?;
    if heard != frame.as_bytes() {
        return Err(io::Error::other(format!("heard {:?}", String::from_utf8_lossy(&heard))));
    }
    Ok(())
}

impl Load<'_> {
    fn connect_tls(&self) -> io::Result<Wire<TlsClient>> {
        let stream = try_connect(&self.bed.client, SECURE, PATIENCE)?;
        TlsClient::connect(stream, &self.trust, "app.test").map(Wire::over)
    }

    /// Asks until the load is over; what went wrong.
    fn keep_asking(&self, client: usize, way: Way) -> Vec<String> {
        match way {
            Way::Kept => self.on_connections(client, false, || Wire::open(&self.bed.client, PLAIN)),
            Way::KeptTls => self.on_connections(client, false, || self.connect_tls()),
            Way::EachTls => self.on_connections(client, true, || self.connect_tls()),
        }
    }

    /// GET and POST by turns; on a new connection after each failure, or for `each`.
    fn on_connections<S: Read + Write>(
        &self,
        client: usize,
        each: bool,
        connect: impl Fn() -> io::Result<Wire<S>>,
    ) -> Vec<String> {
        let (mut failed, mut kept, mut number) = (Vec::new(), None, 0);
        while !self.over.load(Ordering::Relaxed) && failed.len() < 5 {
            number += 1;
            let path = format!("/{client}/{number}");
            self.asked.fetch_add(1, Ordering::Relaxed);
            let wire = kept.take().map_or_else(&connect, Ok);
            let reply = wire.and_then(|mut wire| {
                let reply = if number % 2 == 0 {
                    wire.get("app.test", &path)
                } else {
                    wire.post("app.test", &path, path.as_bytes())
                };
                reply.map(|reply| (wire, reply))
            });
            match reply {
                Ok((wire, reply))
                    if reply.status == 200 && reply.text() == path && !reply.is_last() =>
                {
                    kept = (!each).then_some(wire);
                }
                Ok((_, reply)) => failed.push(format!("{path}: {reply:?}")),
                Err(error) => failed.push(format!("{path}: {error}")),
            }
        }
        failed
    }
}
