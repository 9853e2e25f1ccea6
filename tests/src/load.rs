//! Who asks: nodes on lasting connections, `kubectl`s on new ones, controllers that watch.

use eclusa_testkit::client::{Client, Target, WatchSettings, Watcher};
use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::wait_until;
use std::time::{Duration, Instant};

/// Nodes: 50 requests a second in all, a tenth of them POST.
const KUBELETS: usize = 10;
const KUBELET_RATE: f64 = 5.0;
/// New connections a second, in all.
const SINGLES_RATE: f64 = 50.0;
const WATCHES: usize = 30;
/// Until everything flows.
const FLOW: Duration = Duration::from_secs(20);
const THREAD: &str = "a thread for a client";

/// A client and the start of its clock.
#[derive(Debug)]
pub struct Timed<T> {
    /// When its clock was at zero.
    pub zero: Instant,
    /// The client.
    pub client: T,
}

/// All clients of a run.
#[derive(Debug)]
pub struct Load {
    /// Nodes, each on one HTTP/2 connection.
    pub lasting: Vec<Timed<Client>>,
    /// Those who make a connection for each request.
    pub singles: Vec<Timed<Client>>,
    /// Those who watch.
    pub watchers: Vec<Timed<Watcher>>,
}

impl Load {
    /// Starts them on `hosts`; nobody waits longer for an answer than `deadline`.
    ///
    /// # Panics
    /// The system has no thread for one.
    #[must_use]
    #[track_caller]
    pub fn start(hosts: &[Host], target: &Target, deadline: Duration) -> Self {
        let host = |number: usize| &hosts[number % hosts.len()];
        let lasting = (0..KUBELETS).map(|number| {
            let start = || Client::kubelet(target, KUBELET_RATE, deadline);
            timed(host(number).enter(start).expect(THREAD), Client::now)
        });
        let rate = SINGLES_RATE / hosts.len() as f64;
        let singles = hosts.iter().map(|host| {
            timed(
                host.enter(|| Client::singles(target, rate, deadline)).expect(THREAD),
                Client::now,
            )
        });
        let watchers = (0..WATCHES).map(|number| {
            let settings = WatchSettings { deadline, ..WatchSettings::default() };
            timed(
                host(number).enter(|| Watcher::start(target, settings)).expect(THREAD),
                Watcher::now,
            )
        });
        Self {
            lasting: lasting.collect(),
            singles: singles.collect(),
            watchers: watchers.collect(),
        }
    }

    /// Waits until each of them has had answers.
    ///
    /// # Panics
    /// One has none after a while.
    #[track_caller]
    pub fn wait_flowing(&self) {
        wait_until(FLOW, "answers for every client", || {
            let answered = |client: &Timed<Client>, count: usize| {
                let records = client.client.records();
                records.iter().filter(|it| it.master.is_some()).count() >= count
            };
            self.lasting.iter().all(|client| answered(client, 3))
                && self.singles.iter().all(|client| answered(client, 10))
                && self.watchers.iter().all(|watcher| watcher.client.report().events() >= 3)
        });
    }
}

fn timed<T>(client: T, now: impl Fn(&T) -> Duration) -> Timed<T> {
    Timed { zero: Instant::now() - now(&client), client }
}
