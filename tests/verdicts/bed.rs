//! The cluster of a run: masters as processes, a candidate in front of them, and the load.

use crate::candidate::{Candidate, Kind};
use crate::clock::Clock;
use crate::names::Names;
use e2e::load::Load;
use e2e::proof::size;
use eclusa_testkit::apiserver::{MasterProcess, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::Target;
use eclusa_testkit::netns::{Cluster, Host, LB_VIP, Shape};
use eclusa_testkit::wait::pause;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Where the candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Inside; clients are the workers.
    Lb,
    /// With a second leg into the DMZ, from where the clients come.
    Edge,
}

/// What our program has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Nothing,
    /// [`Bed::clock`]
    Clock,
    /// [`Bed::names`]
    Names,
}

/// How a run begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Masters in the candidate's file.
    pub masters: u8,
    /// How many of these run from the start.
    pub started: u8,
    /// More lines of our file.
    pub file: &'static str,
    pub shutdown_delay: Duration,
    pub watch_grace: Duration,
    pub place: Place,
    pub own: Own,
    /// How much longer all runs well before something happens. Probes come every second or two: a
    /// fault that always came after the same time would always meet them at the same point.
    pub phase: Duration,
    /// How long clients wait for an answer.
    pub deadline: Duration,
}

impl Setup {
    /// Three masters that end as kubeadm's do, patient clients.
    pub const DEFAULT: Self = Self {
        masters: 3,
        started: 3,
        file: "",
        shutdown_delay: Duration::ZERO,
        watch_grace: Duration::from_secs(2),
        place: Place::Lb,
        own: Own::Nothing,
        phase: Duration::ZERO,
        deadline: Duration::from_secs(8),
    };
}

/// Everything of a run; in the order in which it has to end.
#[derive(Debug)]
pub struct Bed {
    pub load: Load,
    pub candidate: Candidate,
    pub clock: Option<Clock>,
    pub names: Option<Names>,
    masters: Vec<Option<MasterProcess>>,
    pids: Vec<Option<u32>>,
    ca: Ca,
    setup: Setup,
    pub target: Target,
    pub cluster: Cluster,
}

impl Bed {
    /// Starts masters, candidate and load. All runs well when this returns, unless no master
    /// was to be started.
    #[track_caller]
    pub fn start(kind: Kind, setup: &Setup) -> Self {
        let (masters, workers) = (setup.masters, 3);
        let cluster = Cluster::new(Shape { masters, workers, ..Shape::default() }).unwrap();
        let ca = Ca::new();
        let named: Vec<(String, SocketAddr)> =
            cluster.masters().map(|host| (host.name().to_owned(), host.at(6443))).collect();
        let mut running: Vec<_> = (0..masters)
            .map(|index| (index < setup.started).then(|| start_master(&cluster, &ca, setup, index)))
            .collect();
        let pids = running.iter_mut().map(|it| it.as_mut().map(|it| it.process().pid())).collect();
        let (host, address, clients): (_, SocketAddr, _) = match setup.place {
            Place::Lb => ("lb", (LB_VIP, 6443).into(), "worker"),
            Place::Edge => ("edge", cluster.host("edge").at(6443), "outside"),
        };
        let host = cluster.host(host);
        let clock = (setup.own == Own::Clock).then(Clock::new);
        let names = (setup.own == Own::Names).then(|| Names::start(&host, &named));
        let candidate = Candidate::start(kind, &host, &named, setup.file, |mut runner| {
            runner = clock.iter().fold(runner, |runner, clock| clock.give(runner));
            names.iter().fold(runner, |runner, names| names.give(runner))
        });
        let up: Vec<String> =
            named.iter().take(setup.started.into()).map(|(name, _)| name.clone()).collect();
        // Without probes there are no verdicts.
        if !(kind == Kind::Ours && setup.file.contains("none") || setup.file.contains("/dev/full"))
        {
            candidate.wait_up(&up);
        }
        let target = Target::new(address, "kubernetes", &ca);
        let hosts = cluster.hosts().iter().filter(|host| host.name().starts_with(clients));
        let hosts: Vec<Host> = hosts.cloned().collect();
        let load = Load::start(&hosts, &target, setup.deadline);
        if setup.started > 0 {
            load.wait_flowing();
            // For the distribution before the fault; and a balancer knows the rhythm of its masters
            // only when it has listened to them for a while, as it has everywhere but here.
            pause(size(Duration::from_secs(11), Duration::from_secs(1)) + setup.phase);
        }
        Self {
            load,
            candidate,
            clock,
            names,
            masters: running,
            pids,
            ca,
            setup: *setup,
            target,
            cluster,
        }
    }

    /// The name of a master.
    pub fn name(index: usize) -> String {
        format!("master{}", index + 1)
    }

    /// A master that runs.
    #[track_caller]
    pub fn master(&mut self, index: usize) -> &mut MasterProcess {
        self.masters[index].as_mut().expect("a master that was started")
    }

    /// All that run.
    pub fn running(&mut self) -> impl Iterator<Item = &mut MasterProcess> {
        self.masters.iter_mut().flatten()
    }

    /// The process id of a master.
    #[track_caller]
    pub fn pid(&self, index: usize) -> u32 {
        self.pids[index].expect("a master that was started")
    }

    /// The CA of all masters.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The host of a master.
    pub fn host(&self, index: usize) -> Host {
        self.cluster.host(&Self::name(index))
    }

    /// The host of the candidate.
    pub fn candidate_host(&self) -> Host {
        self.cluster.host(if self.setup.place == Place::Lb { "lb" } else { "edge" })
    }

    /// Starts a master (again), with a fresh certificate.
    #[track_caller]
    pub fn start_master(&mut self, index: usize) {
        // First away with the old one: two cannot listen.
        self.masters[index] = None;
        let number = u8::try_from(index).unwrap();
        let mut master = start_master(&self.cluster, &self.ca, &self.setup, number);
        self.pids[index] = Some(master.process().pid());
        self.masters[index] = Some(master);
    }

    /// Lets the load run for a while.
    pub fn watch(&self, duration: Duration) {
        pause(duration);
    }

    /// Injects something; from the returned times on it was under way, and was complete.
    pub fn inject(&mut self, what: impl FnOnce(&mut Self)) -> (Instant, Instant) {
        let begun = Instant::now();
        what(self);
        (begun, Instant::now())
    }
}

#[track_caller]
fn start_master(cluster: &Cluster, ca: &Ca, setup: &Setup, index: u8) -> MasterProcess {
    let host = cluster.host(&Bed::name(index.into()));
    let settings = Settings {
        shutdown_delay: setup.shutdown_delay,
        watch_grace: setup.watch_grace,
        ..Settings::plain(host.name())
    };
    let names = ["kubernetes", host.name()];
    MasterProcess::start(Some(&host), host.at(6443), ca, &names, &settings).unwrap()
}
