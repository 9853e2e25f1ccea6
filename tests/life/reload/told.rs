//! What the clients have seen of all reloads.

use super::bed::Bed;
use super::file;
use super::guests::Guests;
use super::run::Run;
use e2e::load::Timed;
use e2e::product::Product;
use eclusa_testkit::client::{Client, Outcome, Record, Watcher};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Failures that are told one by one, and sessions.
const WORDS: usize = 30;

/// What all clients have to tell.
#[derive(Debug, Default)]
pub struct Told {
    pub requests: usize,
    /// Requests a second of the nodes, on lasting connections and on new ones.
    pub rates: [f64; 2],
    pub slowest: Duration,
    /// New sessions of which it is known where they had to go.
    pub known: usize,
    pub wrong: Vec<String>,
}

impl Told {
    pub fn of(bed: &Bed, guests: &Guests, run: &Run) -> Self {
        let (mut told, Bed { load, moving, edge, orders, .. }) = (Self::default(), bed);
        let lasting = load.lasting.iter().chain(&moving.lasting);
        for client in lasting {
            told.add_requests("lasting", client);
            told.add_lasting(&client.client);
        }
        for client in load.singles.iter().chain(&moving.singles) {
            told.add_requests("new", client);
        }
        for (host, client) in moving.singles.iter().enumerate() {
            told.add_moving(host, client, run);
        }
        told.rates = [&load.lasting, &load.singles].map(|clients| clients.iter().map(rate).sum());
        for watcher in &load.watchers {
            told.add_watch(&watcher.client);
        }
        told.requests += guests.served.load(Relaxed) + guests.stood.load(Relaxed);
        told.wrong.extend(guests.failures(edge));
        told.wrong.extend(orders.alarms.iter().map(ToString::to_string));
        told
    }

    /// Tells what is wrong one by one, with sessions that did not end as they should.
    pub fn tell_wrong(&self, edge: &Product) {
        if self.wrong.is_empty() {
            return;
        }
        let odd = edge.sessions_where(|record| record["reason"] != "closed");
        let odd = odd.iter().map(ToString::to_string);
        let wrong = self.wrong.iter().take(WORDS).cloned();
        wrong.chain(odd.take(WORDS)).for_each(|line| println!("{line}"));
    }

    /// The lower of the two rates.
    pub fn slowest_rate(&self) -> f64 {
        self.rates[0].min(self.rates[1])
    }

    fn add_requests(&mut self, kind: &str, client: &Timed<Client>) {
        for Record { at, took, outcome, step, .. } in client.client.records() {
            self.requests += 1;
            self.slowest = self.slowest.max(took);
            if outcome != Outcome::Ok {
                self.wrong.push(format!("{kind}: {outcome} at {step:?}, {took:?} after {at:?}"));
            }
        }
    }

    /// It has kept its connection.
    fn add_lasting(&mut self, client: &Client) {
        let sessions = client.sessions();
        let kept = matches!(&*sessions, [one] if one.end.is_none() && one.strays == 0);
        if !kept {
            self.wrong.push(format!("a lasting session was not kept: {sessions:?}"));
        }
    }

    fn add_watch(&mut self, watcher: &Watcher) {
        let report = watcher.report();
        let stands = matches!(&*report.sessions, [one] if one.end.is_none() && one.events > 0);
        if !stands || report.missing() > 0 {
            self.wrong.push(format!("a watch was cut: {report:?}"));
        }
    }

    /// What began and ended while one file was in force went where that file says.
    fn add_moving(&mut self, host: usize, client: &Timed<Client>, run: &Run) {
        for Record { at, took, master, .. } in client.client.records() {
            let (from, until) = (client.zero + at, client.zero + at + took);
            let within =
                |(_, begun, ended): &&(usize, Instant, Instant)| *begun <= from && until <= *ended;
            let (Some((number, ..)), Some(master)) = (run.stays.iter().find(within), master) else {
                continue;
            };
            self.known += 1;
            let pool = file::moving(*number)[host];
            if !file::is_in(pool, &master) {
                self.wrong.push(format!("reload {number}: {master} is not in {pool}"));
            }
        }
    }
}

/// Requests a second since its start.
fn rate(client: &Timed<Client>) -> f64 {
    client.client.records().len() as f64 / client.zero.elapsed().as_secs_f64()
}
