//! Exchanges and tunnels in pieces of any size, with rests anywhere, over small socket buffers, with TLS
//! on either side: whoever has something to say is heard. All deadlines of the edge are out of reach,
//! so that a wake-up that gets lost stays lost, while a machine that is merely slow catches up.

use crate::bed::Bed;
use crate::dice::Dice;
use crate::duct::{Duct, Heard, STUCK};
use crate::mirror::{Mirror, Task};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::ca::client_that_trusts_anybody;
use eclusa_testkit::netns::{Host, skipped};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who talk at once.
const CLIENTS: u64 = 12;

/// Listeners whose patience is endless, before a mirror without TLS and one with it.
const PATIENT: &str = r#"
[listener.patient]
listen = ["192.168.1.2:81"]
half_closed_timeout = "1h"
http = { head_timeout = "5m", body_timeout = "1h", keep_alive_timeout = "1h" }
pool = "mirror"
[[listener.patient.route]]
host = ["tls.test"]
pool = "mirror-tls"
[listener.patient-secure]
listen = ["192.168.1.2:444"]
half_closed_timeout = "1h"
tls = { certificates = ["{certificate}"] }
http = { head_timeout = "5m", body_timeout = "1h", keep_alive_timeout = "1h" }
pool = "mirror"
[[listener.patient-secure.route]]
host = ["tls.test"]
pool = "mirror-tls"
[pool.mirror]
endpoints = ["10.0.1.106:80"]
probe = { kind = "none" }
http = { response_timeout = "1h" }
[pool.mirror-tls]
endpoints = ["10.0.1.106:443"]
tls = { verify = false }
probe = { kind = "none" }
http = { response_timeout = "1h" }
"#;

#[test]
fn nobody_waits_for_ever() {
    if skipped("nobody_waits_for_ever") {
        return;
    }
    let bed = Bed::without_nginx(PATIENT);
    let worker = bed.host("worker1");
    let _mirrors = [
        Mirror::start(&worker, "10.0.1.106:80", None),
        Mirror::start(&worker, "10.0.1.106:443", Some(bed.server())),
    ];
    let each = size(500, 12);
    // Another seed is another run, and each can be had again.
    let seed = std::env::var("ECLUSA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let host = &bed.client;
                scope.spawn(move || Client::new(host, seed * 1_000 + client).run(each))
            })
            .collect();
        clients.into_iter().filter_map(|client| client.join().unwrap().err()).collect()
    });
    let n = each * usize::try_from(CLIENTS).unwrap();
    Item::new("5.4 exchanges and tunnels in pieces of any size, with rests anywhere")
        .bound(format!("each whole, none at a stand for {STUCK:?}"))
        .n(n)
        .note(format!("the edge's own deadlines out of reach; seed {seed}"))
        .record(wrong.is_empty(), wrong_of(n, &wrong));
}

/// One client: a connection at a time, and its tasks.
struct Client<'a> {
    host: &'a Host,
    seed: u64,
    dice: Dice,
    tls: Arc<ClientConfig>,
    duct: Option<Duct>,
}

impl<'a> Client<'a> {
    fn new(host: &'a Host, seed: u64) -> Self {
        let tls = client_that_trusts_anybody(&[]);
        Self { host, seed, dice: Dice::new(seed), tls, duct: None }
    }

    fn run(mut self, count: usize) -> Result<(), String> {
        for number in 0..count {
            let task = Task::any(&mut self.dice);
            self.one(&task)
                .map_err(|why| format!("seed {}, number {number}, {task:?}: {why}", self.seed))?;
        }
        Ok(())
    }

    fn one(&mut self, task: &Task) -> Result<(), String> {
        let mut duct = match self.duct.take() {
            Some(duct) => duct,
            None => self.connect()?,
        };
        let host = if self.dice.one_in(2) { "tls.test" } else { "app.test" };
        let ends = task.is_tunnel || self.dice.one_in(10);
        let said = task.request(host, &mut self.dice);
        let mut heard = Heard::default();
        let heard = &mut heard;
        if task.is_tunnel {
            // What follows a 101 is no body: all of it, to the end.
            duct.converse(&mut self.dice, &said, true, heard, |heard| heard.is_over)?;
        } else {
            duct.converse(&mut self.dice, &said, ends, heard, Heard::is_whole)?;
        }
        task.check_answer(heard)?;
        if !ends && !heard.is_last() {
            self.duct = Some(duct);
        }
        Ok(())
    }

    /// A connection with buffers of any size.
    fn connect(&mut self) -> Result<Duct, String> {
        let secure = self.dice.one_in(2);
        let to = SocketAddr::from(([192, 168, 1, 2], if secure { 444 } else { 81 }));
        let buffer = usize::try_from(8_192 + self.dice.below(56 * 1024)).unwrap_or(8_192);
        let stream = e2e::bed::connect_to(self.host, to, Some(buffer));
        let stream = stream.map_err(|error| format!("connect: {error}"))?;
        if !secure {
            return Duct::plain(stream, &mut self.dice);
        }
        let name = ServerName::try_from("app.test").map_err(|error| error.to_string())?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), name);
        let tls = tls.map_err(|error| error.to_string())?;
        Duct::client(StreamOwned::new(tls, stream), &mut self.dice)
    }
}
