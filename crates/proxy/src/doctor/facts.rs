//! What the doctor knows before it judges: gathered by `host` and `ask`, judged by `judge`.

use super::migration::Migration;
use super::unit::Unit;
use crate::admin::StatusReport;
use crate::layer7::Examined;
use crate::listening::{Holder, Listening};
use crate::probe::Seen;
use eclusa_config::plan::{Plan, Program};
use eclusa_sys::clock::ClockState;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// All facts.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) program: Program,
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// Now, by the clock of this host.
    pub(crate) now: SystemTime,
    pub(crate) plan: Plan,
    /// What the reader, and whoever would serve the plan, have to say of the file.
    pub(crate) told: Vec<Told>,
    pub(crate) host: Host,
    pub(crate) service: Service,
    pub(crate) files: Vec<NamedFile>,
    pub(crate) examined: Vec<Examined>,
    /// Nobody was asked; `None` where it was not wanted.
    pub(crate) network: Option<Network>,
    /// Names that clients use, as `--name` says.
    pub(crate) names: Vec<String>,
    /// What has to do with HAProxy; `None` where it was not wanted.
    pub(crate) migration: Option<Migration>,
}

/// What is said of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// It would not be taken.
    pub(crate) is_error: bool,
    /// Place and mistake.
    pub(crate) found: String,
    pub(crate) remedy: String,
}

/// The host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    /// Settings of the kernel, by name; those that this kernel has.
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Addresses of its interfaces, each with the bits of its network.
    pub(crate) networks: Vec<(IpAddr, u8)>,
    /// `rp_filter` of each interface but the loopback.
    pub(crate) rp_filters: Vec<(String, u32)>,
    /// Default routes (IPv4).
    pub(crate) default_routes: usize,
    /// Hosts beside it that it has talked to (`/proc/net/arp`).
    pub(crate) neighbours: Vec<IpAddr>,
    pub(crate) clock: Option<ClockState>,
    /// Who listens, and who holds that.
    pub(crate) listening: Vec<(Listening, Vec<Holder>)>,
    /// Addresses of the plan that cannot be listened on, because somebody does.
    pub(crate) taken: Vec<SocketAddr>,
    /// This user sees the processes of all.
    pub(crate) sees_all: bool,
}

impl Host {
    /// A setting that is one number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.sysctls.get(name)?.parse().ok()
    }

    /// Whether an interface has the address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|(own, _)| *own == address.to_canonical())
    }

    /// Its addresses but the loopback's and the link's own.
    pub(crate) fn legs(&self) -> impl Iterator<Item = &(IpAddr, u8)> {
        self.networks.iter().filter(|(address, _)| match address {
            IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
            IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
        })
    }
}

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    /// How it is; or why nobody knows.
    pub(crate) status: Result<Box<StatusReport>, String>,
    /// The service runs: it answered, or a process of its name listens.
    pub(crate) runs: bool,
    /// Its limit of descriptors, and where that was read.
    pub(crate) descriptors: Option<(u64, String)>,
    /// As whom it opens files.
    pub(crate) who: Option<Who>,
    pub(crate) unit: Option<Unit>,
    /// What systemd says of the unit; `None`: there is no systemd.
    pub(crate) systemd: Option<UnitState>,
}

/// What systemd says of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `LoadState`: `loaded`, `not-found`
    pub(crate) load: String,
    /// `ActiveState`: `active`, `failed`
    pub(crate) active: String,
    /// `SubState`: `running`
    pub(crate) sub: String,
    /// `UnitFileState`: `enabled`
    pub(crate) file: String,
    /// `NeedDaemonReload`
    pub(crate) needs_reload: bool,
    /// `NRestarts`
    pub(crate) restarts: u64,
    /// `DropInPaths`
    pub(crate) drop_ins: Vec<String>,
}

/// As whom files are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// In words: `user eclusa (the keeper, pid 12)`.
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) groups: Vec<u32>,
    /// It reads every file (`CAP_DAC_READ_SEARCH`, `CAP_DAC_OVERRIDE`).
    pub(crate) reads_all: bool,
    /// It listens on every port (`CAP_NET_BIND_SERVICE`).
    pub(crate) binds_all: bool,
}

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    /// It holds a private key, a token or passwords.
    pub(crate) is_secret: bool,
    /// The directories on the way and the file itself, last; or why it cannot be looked at.
    pub(crate) steps: Result<Vec<Step>, String>,
}

/// A directory on the way to a file, or the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) path: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The permission bits.
    pub(crate) mode: u32,
    /// There is an access control list, which says more than the bits (acl(5)).
    pub(crate) has_acl: bool,
}

/// What came of asking endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) asked: Vec<Asked>,
    /// Endpoints by name that have no address.
    pub(crate) unresolved: Vec<(Arc<str>, Arc<str>)>,
    /// Endpoints that were left out because there are too many.
    pub(crate) left_out: usize,
    /// Addresses of which port 6443 was asked, and whether it takes connections.
    pub(crate) apiservers: Vec<(IpAddr, bool)>,
}

/// An endpoint that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) pool: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) address: SocketAddr,
    /// The version of the PROXY header that the file says; `None`: it says none.
    pub(crate) send_proxy: Option<u8>,
    /// What it answers without a header.
    pub(crate) without: Answer,
    /// What it answers to a header and then the same question.
    pub(crate) with: Answer,
    /// The certificate that it showed, whichever way.
    pub(crate) certificate: Option<Seen>,
    /// Its clock less ours, in milliseconds, to the second.
    pub(crate) clock_ahead: Option<i64>,
}

/// What an endpoint answers to the question in the protocol that it should speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As one that has understood it.
    Understood(String),
    /// With something that is none: what came.
    Strange(String),
    /// It closed or reset the connection.
    Closed,
    /// Nothing within the time.
    Silent,
    /// No connection came about: why.
    Unreachable(String),
    /// Nobody knows what it speaks.
    Unasked,
}
