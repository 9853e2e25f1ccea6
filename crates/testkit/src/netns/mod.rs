//! The cluster of network namespaces in which end-to-end tests run: real addresses, real routes,
//! real faults.
//!
//! ```text
//! cluster 10.0.0.0/22                                   dmz 192.168.1.0/24     outside 203.0.113.0/24
//!   master1-7  10.0.0.11-17   worker1-3  10.0.0.21-23     edge    192.168.1.2    outside1  .11
//!   lb         10.0.0.10, VIP 10.0.0.5                    router  192.168.1.1 ── outside2  .12
//!   edge       10.0.0.9 (its second leg)
//!   MetalLB's VIPs 10.0.1.100-110, answered by worker1 until they move
//! ```
//!
//! Every host is a namespace; one more holds the bridges. Names carry the process id, so that
//! test processes do not meet, and that a later run takes away what a killed one has left.
//! Needs root and iproute2; faults need nftables ([`available`]).

mod faults;
mod host;
mod ip;
mod names;
mod topology;

pub use faults::Direction;
pub use host::Host;

use ip::Batch;
use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::OnceLock;
use topology::SWITCH;

/// A network of the cluster: a bridge, and what a leg into it is called on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// 10.0.0.0/22: masters, workers, the internal balancer, the edge's second leg.
    Cluster,
    /// 192.168.1.0/24: the edge and the router.
    Dmz,
    /// 203.0.113.0/24: clients behind the router.
    Outside,
}

impl Network {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Dmz, Self::Outside];

    /// The name of the bridge, and of each interface into it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Dmz => "dmz",
            Self::Outside => "outside",
        }
    }

    fn prefix_length(self) -> u8 {
        match self {
            Self::Cluster => 22,
            Self::Dmz | Self::Outside => 24,
        }
    }
}

/// What TCP does about congestion in every namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// What every kernel has and allows; what measurements use.
    #[default]
    Reno,
    /// What Debian uses. Where the machine does not allow it to namespaces, it is added to
    /// `net.ipv4.tcp_allowed_congestion_control` of the machine, and stays there.
    Cubic,
}

impl Congestion {
    /// Its name in `net.ipv4.tcp_congestion_control`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
        }
    }
}

/// How large a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// master1 to master7.
    pub masters: u8,
    /// worker1 to worker3; worker1 always exists.
    pub workers: u8,
    /// In every namespace.
    pub congestion: Congestion,
}

impl Default for Shape {
    fn default() -> Self {
        Self { masters: 3, workers: 3, congestion: Congestion::default() }
    }
}

/// Why there is no cluster; the text names the command that failed and what it said.
#[derive(Debug)]
pub struct NetnsError(String);

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NetnsError {}

/// The virtual address of the internal balancer.
pub const LB_VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

/// The virtual addresses that MetalLB hands out: 10.0.1.100 to 10.0.1.110.
pub fn metallb_vips() -> impl Iterator<Item = Ipv4Addr> {
    (100..=110).map(|last| Ipv4Addr::new(10, 0, 1, last))
}

/// A running cluster; its namespaces go when this is dropped. Processes in them have to go
/// first: a namespace lives on as long as one is in it.
#[derive(Debug)]
pub struct Cluster {
    hosts: Vec<Host>,
    _namespaces: Namespaces,
}

/// The guard of the names.
#[derive(Debug)]
struct Namespaces(Vec<String>);

impl Drop for Namespaces {
    fn drop(&mut self) {
        let lines: String = self.0.iter().map(|name| format!("netns delete {name}\n")).collect();
        // A test must not fail for it; what is left is swept by a later run.
        if let Err(error) = ip::force(&lines) {
            eprintln!("namespaces were left behind: {error}");
        }
    }
}

impl Cluster {
    /// Builds one, in some 0.2 s.
    ///
    /// # Errors
    /// The machine cannot ([`available`]), or the shape asks for more than there is.
    pub fn new(shape: Shape) -> Result<Self, NetnsError> {
        available().map_err(NetnsError)?;
        if shape.masters > 7 || !(1..=3).contains(&shape.workers) {
            return Err(NetnsError(format!("{shape:?}: at most 7 masters, 1 to 3 workers")));
        }
        names::sweep();
        let machines = topology::machines(shape);
        let number = names::next();
        let name = |host: &str| names::namespace(number, host);
        let all = machines.iter().map(|machine| machine.name.as_str()).chain([SWITCH]);
        // The guard comes before the namespaces: half a cluster is taken away as well.
        let namespaces = Namespaces(all.map(name).collect());
        let lines: String = namespaces.0.iter().map(|name| format!("netns add {name}\n")).collect();
        ip::run(&lines)?;
        let switch = name(SWITCH);
        topology::switch(&machines, name).run_in(&switch)?;
        for machine in &machines {
            let namespace = name(&machine.name);
            machine.setup().run_in(&namespace)?;
            host::set_kernel(&namespace, machine, shape.congestion)?;
        }
        let hosts = machines
            .into_iter()
            .map(|machine| Host::new(name(&machine.name), switch.clone(), machine))
            .collect();
        Ok(Self { hosts, _namespaces: namespaces })
    }

    /// The host called `name`: `master1`..., `worker1`..., `lb`, `edge`, `router`, `outside1`,
    /// `outside2`.
    ///
    /// # Panics
    /// There is none: the message lists all.
    #[must_use]
    #[track_caller]
    pub fn host(&self, name: &str) -> Host {
        let found = self.hosts.iter().find(|host| host.name() == name);
        found.cloned().unwrap_or_else(|| {
            let names: Vec<_> = self.hosts.iter().map(Host::name).collect();
            panic!("no host is called {name}; there are: {}", names.join(", "))
        })
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The masters.
    pub fn masters(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.name().starts_with("master"))
    }

    /// Moves a virtual address to another host of the cluster network, as MetalLB does in layer
    /// 2 mode: the old holder forgets it, the new one tells everybody by gratuitous ARP. What
    /// had connections to the old holder is not told.
    ///
    /// # Errors
    /// The new holder has no leg there, or `ip` failed.
    pub fn move_vip(&self, vip: Ipv4Addr, to: &str) -> Result<(), NetnsError> {
        for host in &self.hosts {
            if host.name() != to && host.has_address(vip)? {
                Batch::new(format!("addr del {vip}/32 dev cluster")).run_in(host.namespace())?;
            }
        }
        let to = self.host(to);
        Batch::new(format!("addr replace {vip}/32 dev cluster")).run_in(to.namespace())?;
        to.announce_addresses()
    }
}

/// Whether this process can build a cluster; if not, why, in words.
///
/// # Errors
/// What is missing, and the remedy.
pub fn available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER.get_or_init(look).clone()
}

fn look() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces need root: run the tests as root".into());
    }
    for (program, option, package) in [
        ("ip", "-V", "iproute2"),
        ("nft", "--version", "nftables"),
        ("nsenter", "--version", "util-linux"),
    ] {
        let mut command = std::process::Command::new(program);
        command.arg(option).stdout(std::process::Stdio::null());
        if let Err(error) = command.status() {
            return Err(format!("`{program}` cannot be run: {error}; apt-get install {package}"));
        }
    }
    // Root without CAP_SYS_ADMIN, as in most containers, fails here.
    let name = names::namespace(names::next(), "try");
    ip::run(&format!("netns add {name}\nnetns delete {name}\n"))
        .map_err(|error| format!("this root may not make network namespaces: {error}"))
}

/// Whether a test has to be left out. Then `SKIPPED: reason` goes to standard error past the
/// test harness, which would swallow the output of a test that passes; whoever runs the tests
/// counts these lines.
#[must_use]
pub fn skipped(test: &str) -> bool {
    match available() {
        Ok(()) => false,
        Err(reason) => {
            let _ = writeln!(io::stderr(), "SKIPPED: {test}: {reason}");
            true
        }
    }
}

#[cfg(test)]
mod tests;
