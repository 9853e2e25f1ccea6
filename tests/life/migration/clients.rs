//! Who must not notice: new connections every few milliseconds, watches, and a ping of the address.

use super::pinger::Pinger;
use e2e::product::PATIENCE;
use e2e::proof::size;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target, WatchSettings, Watcher};
use eclusa_testkit::netns::{Cluster, Host, LB_VIP};
use eclusa_testkit::wait::wait_until;
use std::time::{Duration, Instant};

/// How long a client waits for an answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// A watch, and the start of its clock.
pub(super) struct Watch {
    zero: Instant,
    watcher: Watcher,
}

impl Watch {
    /// When its sessions ended that had begun.
    pub(super) fn cuts(&self) -> Vec<Instant> {
        let cuts = self.watcher.report();
        let ends = cuts.sessions.iter().filter(|session| session.events > 0);
        ends.filter_map(|session| Some(self.zero + session.end.as_ref()?.0)).collect()
    }

    /// Sessions that brought nothing.
    pub(super) fn failed_dials(&self) -> usize {
        let report = self.watcher.report();
        report
            .sessions
            .iter()
            .filter(|session| session.events == 0 && session.end.is_some())
            .count()
    }

    pub(super) fn missing(&self) -> u64 {
        self.watcher.report().missing()
    }

    pub(super) fn events(&self) -> u64 {
        self.watcher.report().events()
    }
}

/// All of them.
pub(super) struct Clients {
    hosts: [Host; 2],
    target: Target,
    singles: Vec<Client>,
    watches: Vec<Watch>,
    pinger: Pinger,
}

/// What they saw.
pub(super) struct Told {
    pub(super) requests: u64,
    /// How requests on new connections failed.
    pub(super) failed: Vec<String>,
    pub(super) slowest: Duration,
    pub(super) watches: Vec<Watch>,
    pub(super) ping: super::pinger::Seen,
}

impl Clients {
    pub(super) fn start(cluster: &Cluster, ca: &Ca) -> Self {
        let target = Target::new((LB_VIP, 6443).into(), "kubernetes", ca);
        let hosts = [cluster.host("worker1"), cluster.host("worker2")];
        let rate = size(100.0, 25.0);
        let single = |host: &Host| host.enter(|| Client::singles(&target, rate, DEADLINE)).unwrap();
        let singles = hosts.iter().map(single).collect();
        let pinger = Pinger::start(&hosts[0], LB_VIP);
        let mut clients = Self { hosts, target, singles, watches: Vec::new(), pinger };
        clients.watch(size(12, 4));
        clients.wait_for_more(size(50, 5));
        clients
    }

    /// So many watches more; returns when all have begun.
    pub(super) fn watch(&mut self, count: usize) {
        let settings = WatchSettings { deadline: DEADLINE, ..WatchSettings::default() };
        for number in 0..count {
            let start = || Watcher::start(&self.target, settings.clone());
            let watcher = self.hosts[number % 2].enter(start).unwrap();
            self.watches.push(Watch { zero: Instant::now() - watcher.now(), watcher });
        }
        let begun = || self.watches.iter().all(|watch| watch.events() > 0);
        wait_until(PATIENCE, "events for all", begun);
    }

    /// Waits for so many more answers of each.
    pub(super) fn wait_for_more(&self, requests: usize) {
        self.singles.iter().for_each(|client| client.wait_for_more(requests, PATIENCE));
    }

    /// Watches that were cut so far.
    pub(super) fn cut(&self) -> usize {
        self.watches.iter().map(|watch| watch.cuts().len()).sum()
    }

    pub(super) fn stop(self) -> Told {
        let ping = self.pinger.stop();
        let mut told = Told {
            requests: 0,
            failed: Vec::new(),
            slowest: Duration::ZERO,
            watches: self.watches,
            ping,
        };
        for client in self.singles {
            let sum = client.stop();
            told.requests += sum.requests;
            told.slowest = told.slowest.max(sum.slowest);
            told.failed.extend((sum.failed > 0).then(|| format!("{:?}", sum.outcomes)));
        }
        told
    }
}
