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

/// A client and the start of its clock.
#[derive(Debug)]
pub struct Timed<T> {
    pub zero: Instant,
    pub client: T,
}

/// All clients of a run.
#[derive(Debug)]
pub struct Load {
    pub lasting: Vec<Timed<Client>>,
    pub singles: Vec<Timed<Client>>,
    pub watchers: Vec<Timed<Watcher>>,
}

impl Load {
    /// Starts them on `hosts`; nobody waits longer for an answer than `deadline`.
    pub fn start(hosts: &[Host], target: &Target, deadline: Duration) -> Self {
        let host = |number: usize| &hosts[number % hosts.len()];
        let lasting = (0..KUBELETS).map(|number| {
            let start = || Client::kubelet(target, KUBELET_RATE, deadline);
            timed(host(number).enter(start).unwrap(), Client::now)
        });
        let rate = SINGLES_RATE / hosts.len() as f64;
        let singles = hosts.iter().map(|host| {
            timed(host.enter(|| Client::singles(target, rate, deadline)).unwrap(), Client::now)
        });
        let watchers = (0..WATCHES).map(|number| {
            let settings = WatchSettings { deadline, ..WatchSettings::default() };
            timed(host(number).enter(|| Watcher::start(target, settings)).unwrap(), Watcher::now)
        });
        Self {
            lasting: lasting.collect(),
            singles: singles.collect(),
            watchers: watchers.collect(),
        }
    }

    /// Waits until each of them has had answers.
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
