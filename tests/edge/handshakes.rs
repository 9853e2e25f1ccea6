//! Handshakes without end: each costs the edge a signature and the attacker nothing, who says the same
//! ClientHello again and again and leaves with the answer. Exchanges on the same listener go on.

use crate::bed::{Bed, PLAIN};
use crate::idle::{Tls, ask_in_tls};
use crate::reply::Wire;
use e2e::proof::{Item, p99, size};
use eclusa_testkit::ca::client_that_trusts_anybody;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::pause;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SECURE: SocketAddr = SocketAddr::new(PLAIN.ip(), 443);
const ATTACKERS: usize = 2;
/// Handshakes that each attacker has under way at once.
const AT_ONCE: usize = 64;
/// Between two requests of the good client.
const PACE: Duration = Duration::from_millis(5);
/// It shakes hands anew for one request in so many.
const ANEW: usize = 10;

/// What the good client met: on the kept connection, and with a handshake of its own.
#[derive(Debug, Default)]
struct Met {
    kept: Vec<Duration>,
    fresh: Vec<Duration>,
    failed: Vec<String>,
}

#[test]
fn handshakes_without_end_do_not_slow_exchanges_down() {
    if skipped("handshakes_without_end_do_not_slow_exchanges_down") {
        return;
    }
    let bed = Bed::without_nginx("");
    let config = client_that_trusts_anybody(&[]);
    let mut hello = Vec::new();
    let name = ServerName::try_from("app.test").unwrap();
    let mut shaking = ClientConnection::new(Arc::clone(&config), name).unwrap();
    shaking.write_tls(&mut hello).unwrap();
    let lasts = size(Duration::from_secs(5), Duration::from_millis(500));
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let met = std::thread::scope(|scope| {
        let good = scope.spawn(|| bed.client.enter(|| ask(&config, &over)));
        for _ in 0..ATTACKERS {
            scope.spawn(|| bed.client.enter(|| attack(&hello, &over, &done)));
        }
        pause(lasts);
        over.store(true, Ordering::Relaxed);
        good.join().unwrap()
    });
    let done = done.load(Ordering::Relaxed);
    assert!(done > 0, "no handshake came through");
    let slowest = Duration::from_millis(size(50, 2_000));
    let [kept, fresh] = [&met.kept, &met.fresh].map(|took| p99(took).unwrap_or(Duration::MAX));
    Item::new("4 TLS handshakes without end")
        .bound(format!(
            "no request of a good client on the same listener failed; p99 on its kept connection under \
             {slowest:?}"
        ))
        .n(met.kept.len())
        .worst(format!("{:.1?}", met.kept.iter().max().copied().unwrap_or_default()))
        .note(format!("{done} handshakes by {ATTACKERS} attackers in {lasts:?}"))
        .record(
            met.failed.is_empty() && kept < slowest,
            format!(
                "p99 {kept:.1?} on the kept connection, {fresh:.1?} with a handshake of its own (n = {}); \
                 {} failed {:?}",
                met.fresh.len(),
                met.failed.len(),
                met.failed.first()
            ),
        );
}

/// Says the hello on as many connections as it may, waits for the first byte of each answer, and resets.
fn attack(hello: &[u8], over: &AtomicBool, done: &AtomicU64) {
    let begin = || -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&SECURE, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.write_all(hello)?;
        Ok(stream)
    };
    while !over.load(Ordering::Relaxed) {
        let shaking: Vec<_> = (0..AT_ONCE).filter_map(|_| begin().ok()).collect();
        for mut stream in shaking {
            let answered = matches!(stream.read(&mut [0; 1]), Ok(1));
            done.fetch_add(answered.into(), Ordering::Relaxed);
        }
    }
}

fn ask(config: &Arc<ClientConfig>, over: &AtomicBool) -> Met {
    let mut met = Met::default();
    let mut kept: Option<Wire<Tls>> = None;
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let wire = if number % ANEW == 0 { None } else { kept.take() };
        let is_fresh = wire.is_none();
        let asked = match wire {
            None => ask_in_tls(config).map(Wire::over),
            Some(mut wire) => wire.get("app.test", "/good").map(|_| wire),
        };
        match asked {
            Ok(wire) => kept = Some(wire),
            Err(error) => met.failed.push(error.to_string()),
        }
        if is_fresh { &mut met.fresh } else { &mut met.kept }.push(began.elapsed());
        pause(PACE);
    }
    met
}
