//! One host of the cluster.

use super::ip::{self, Batch};
use super::names::DIRECTORY;
use super::topology::Machine;
use super::{Congestion, NetnsError, Network};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A host: a network namespace with its legs. Cheap to clone; useless once its
/// [`Cluster`](super::Cluster) is gone.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    namespace: String,
    file: PathBuf,
    /// The namespace of the bridges.
    switch: String,
    machine: Machine,
}

impl Host {
    pub(super) fn new(namespace: String, switch: String, machine: Machine) -> Self {
        let file = Path::new(DIRECTORY).join(&namespace);
        Self(Arc::new(Inner { namespace, file, switch, machine }))
    }

    /// Its name in the cluster: `master1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.machine.name
    }

    /// The name that `ip netns` knows it by.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The file that `nsenter --net=` takes.
    #[must_use]
    pub fn namespace_file(&self) -> &Path {
        &self.0.file
    }

    /// The address of its first leg (192.168.1.2 of the edge).
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.0.machine.legs.first().map_or(Ipv4Addr::UNSPECIFIED, |leg| leg.address)
    }

    /// Its address in a network it has a leg in.
    #[must_use]
    pub fn address_in(&self, network: Network) -> Option<Ipv4Addr> {
        let leg = self.0.machine.legs.iter().find(|leg| leg.network == network);
        leg.map(|leg| leg.address)
    }

    /// The address of its first leg with a port.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.address(), port).into()
    }

    /// Runs `work` on a thread that is born for it and lives in this namespace, and waits for
    /// its end. Threads and sockets that `work` makes are in the namespace and stay there.
    ///
    /// # Panics
    /// The namespace cannot be entered, or `work` panicked.
    #[track_caller]
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let run = || {
            if let Err(error) = self.move_thread_here() {
                panic!("cannot enter {}: {error}", self.namespace());
            }
            work()
        };
        let joined = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(self.name().to_owned());
            match thread.spawn_scoped(scope, run) {
                Ok(handle) => handle.join(),
                Err(error) => panic!("cannot start a thread: {error}"),
            }
        });
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn move_thread_here(&self) -> io::Result<()> {
        let file = File::open(&self.0.file)?;
        Ok(rustix::thread::move_into_link_name_space(file.as_fd(), None)?)
    }

    /// A command that runs `program` in this namespace.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.0.file.display())).arg("--").arg(program);
        command
    }

    /// Runs a program to its end in this namespace and returns what it printed.
    ///
    /// # Errors
    /// It failed; with what it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NetnsError> {
        let mut command = self.command(program);
        command.args(arguments);
        ip::complete(command, "")
    }

    /// Takes its interfaces down, as `ip link set down` on the host: to itself, the network is
    /// unreachable.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn link_down(&self) -> Result<(), NetnsError> {
        self.each_leg(|network| self.leg_down(network))
    }

    /// Brings its interfaces up again, with the default route.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn link_up(&self) -> Result<(), NetnsError> {
        self.each_leg(|network| self.leg_up(network))
    }

    /// Takes one interface down.
    ///
    /// # Errors
    /// It has no leg there.
    pub fn leg_down(&self, network: Network) -> Result<(), NetnsError> {
        Batch::new(format!("link set {} down", network.name())).run_in(self.namespace())
    }

    /// Brings one interface up again, with the default route.
    ///
    /// # Errors
    /// It has no leg there.
    pub fn leg_up(&self, network: Network) -> Result<(), NetnsError> {
        let mut batch = Batch::new(format!("link set {} up", network.name()));
        // The way to the gateway may lead over a leg that is still down.
        let over = self.0.machine.legs.first().map(|leg| leg.network);
        if let Some(route) = self.0.machine.default_route().filter(|_| over == Some(network)) {
            batch.line(route);
        }
        batch.run_in(self.namespace())
    }

    /// Pulls the cable out at the switch: the host keeps addresses and routes, nothing comes or
    /// goes.
    ///
    /// # Errors
    /// It has no leg there.
    pub fn cable_out(&self, network: Network) -> Result<(), NetnsError> {
        self.port(network, "down")
    }

    /// Plugs the cable in again.
    ///
    /// # Errors
    /// It has no leg there.
    pub fn cable_in(&self, network: Network) -> Result<(), NetnsError> {
        self.port(network, "up")
    }

    fn port(&self, network: Network, state: &str) -> Result<(), NetnsError> {
        let port = self.0.machine.port(network);
        Batch::new(format!("link set {port} {state}")).run_in(&self.0.switch)
    }

    fn each_leg(
        &self,
        change: impl Fn(Network) -> Result<(), NetnsError>,
    ) -> Result<(), NetnsError> {
        self.0.machine.legs.iter().try_for_each(|leg| change(leg.network))
    }

    pub(super) fn has_address(&self, address: Ipv4Addr) -> Result<bool, NetnsError> {
        let mut ip = Command::new("ip");
        ip.args(["-netns", self.namespace(), "-oneline", "addr", "show", "to"]);
        ip.arg(format!("{address}/32"));
        Ok(!ip::complete(ip, "")?.trim().is_empty())
    }

    /// Tells the cluster network by gratuitous ARP which addresses it has.
    pub(super) fn announce_addresses(&self) -> Result<(), NetnsError> {
        // With `arp_notify` the kernel does so when the hardware address is set, even to what
        // it was.
        let shown = self.run("ip", &["-brief", "link", "show", "dev", Network::Cluster.name()])?;
        let mac = shown.split_ascii_whitespace().nth(2).unwrap_or_default();
        Batch::new(format!("link set cluster address {mac}")).run_in(self.namespace())
    }
}

/// Sets what the kernel does in a namespace.
pub(super) fn set_kernel(
    namespace: &str,
    machine: &Machine,
    congestion: Congestion,
) -> Result<(), NetnsError> {
    let mut settings = vec![
        // So that a moved address is told (`Host::announce_addresses`).
        "net.ipv4.conf.all.arp_notify=1".to_owned(),
        // A host with two legs answers for the address of the leg that was asked.
        "net.ipv4.conf.all.arp_ignore=1".to_owned(),
        "net.ipv4.ip_local_port_range=1024 65535".to_owned(),
        "net.ipv6.conf.lo.disable_ipv6=0".to_owned(),
    ];
    if machine.forwards {
        settings.push("net.ipv4.ip_forward=1".into());
    }
    sysctl(namespace, &settings)?;
    let wanted = [format!("net.ipv4.tcp_congestion_control={}", congestion.name())];
    sysctl(namespace, &wanted).or_else(|_| {
        allow(congestion)?;
        sysctl(namespace, &wanted)
    })
}

fn sysctl(namespace: &str, settings: &[String]) -> Result<(), NetnsError> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "sysctl", "--quiet", "--write"]).args(settings);
    ip::complete(command, "").map(drop)
}

/// Lets namespaces use the algorithm: outside of the first one, only allowed ones can be set.
fn allow(congestion: Congestion) -> Result<(), NetnsError> {
    const ALLOWED: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
    let change = || {
        let allowed = std::fs::read_to_string(ALLOWED)?;
        std::fs::write(ALLOWED, format!("{} {}", allowed.trim(), congestion.name()))
    };
    change().map_err(|error| NetnsError(format!("cannot allow {congestion:?}: {error}")))
}
