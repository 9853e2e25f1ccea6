//! Looks at this host: the kernel's settings, interfaces, who listens, the unit, files. Nothing is
//! changed, and nothing is judged.

use super::facts::{Facts, Host, NamedFile, Service, Step, UnitState, Who};
use super::judge::{SYSCTLS, is_ours, wanted};
use super::unit::Unit;
use crate::admin::StatusReport;
use crate::found;
use crate::laid_out::{keys_of, may_be_below};
use crate::listening;
use eclusa_config::plan::{Plan, Program};
use eclusa_sys::socket::try_exclusive;
use eclusa_sys::{clock, interface};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where units are, those of the administrator last: the first that is found counts (systemd.unit(5)).
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// There where systemd runs (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// `CAP_DAC_OVERRIDE`, `CAP_DAC_READ_SEARCH`, `CAP_NET_BIND_SERVICE` (capabilities(7)).
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_BIND_SERVICE: u64 = 1 << 10;
/// Files that are looked at; a configuration may name thousands of certificates.
const FILES_MAX: usize = 2_000;
/// An access control list, as an attribute of the file (acl(5)).
const ACL: &str = "system.posix_acl_access";

/// The host as far as the plan needs it; `runs`: the service does.
pub(super) fn host(plan: &Plan, runs: bool) -> Host {
    let read = |name: &&str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        Some(((*name).to_owned(), fs::read_to_string(path).ok()?.trim().to_owned()))
    };
    let listening = listening::all();
    let addresses: Vec<_> = wanted(plan).into_iter().map(|(_, address)| address).collect();
    let meets = |row: &listening::Listening| addresses.iter().any(|at| row.is_in_the_way(*at));
    let listening: Vec<_> = listening.into_iter().filter(meets).collect();
    let mut holders = listening::holders(&listening);
    let with_holders = listening
        .iter()
        .map(|row| (*row, holders.remove(&row.inode).unwrap_or_default()))
        .collect();
    let taken = addresses.iter().filter(|at| !runs && is_taken(**at)).copied().collect();
    Host {
        sysctls: SYSCTLS.iter().filter_map(read).collect(),
        networks: interface::networks().unwrap_or_default(),
        rp_filters: rp_filters(),
        default_routes: default_routes(&text("/proc/net/route")),
        neighbours: neighbours(&text("/proc/net/arp")),
        clock: clock::state().ok(),
        listening: with_holders,
        taken,
        sees_all: rustix::process::geteuid().is_root(),
    }
}

/// Whether somebody is in the way of listening there.
fn is_taken(address: SocketAddr) -> bool {
    matches!(try_exclusive(address), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn rp_filters() -> Vec<(String, u32)> {
    let interfaces = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    let mut found: Vec<_> = interfaces
        .filter_map(|interface| {
            let name = interface.file_name().into_string().ok()?;
            let value = fs::read_to_string(interface.path().join("rp_filter")).ok()?;
            let is_one = !["all", "default", "lo"].contains(&name.as_str());
            is_one.then_some((name, value.trim().parse().ok()?))
        })
        .collect();
    found.sort();
    found
}

/// Default routes in `/proc/net/route` (proc(5)): destination and mask are zero.
fn default_routes(table: &str) -> usize {
    let is_default = |line: &&str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")
    };
    table.lines().skip(1).filter(is_default).count()
}

/// Hosts in `/proc/net/arp` that have answered.
fn neighbours(table: &str) -> Vec<IpAddr> {
    let answered = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        (fields.get(3)? != &"00:00:00:00:00:00").then(|| fields.first()?.parse().ok())?
    };
    table.lines().skip(1).filter_map(answered).collect()
}

/// The service, by what it answered, its process and its unit.
pub(super) fn service(program: Program, status: Result<Box<StatusReport>, String>) -> Service {
    let unit = unit(program);
    // A keeper starts its engine: files are opened as the keeper may.
    let engine = status.as_ref().ok().map(|status| status.pid);
    let keeper = engine.map(|pid| parent_of_its_name(program, pid).unwrap_or(pid));
    let process = keeper.or_else(|| listener_of(program));
    let of_process = process.and_then(|pid| {
        let limit = limit_of(&text(&format!("/proc/{pid}/limits")))?;
        Some((limit, format!("process {pid}")))
    });
    let of_unit = unit.as_ref().and_then(|unit| Some((unit.descriptors?, "the unit".to_owned())));
    let who = process.and_then(who_of).or_else(|| unit.as_ref().and_then(who_of_unit));
    Service {
        runs: process.is_some(),
        descriptors: of_process.or(of_unit),
        who,
        systemd: Path::new(BOOTED).is_dir().then(|| unit_state(program.name())).flatten(),
        unit,
        status,
    }
}

/// The process above `pid`, if it is the same program.
fn parent_of_its_name(program: Program, pid: u32) -> Option<u32> {
    let parent: u32 = field(&text(&format!("/proc/{pid}/status")), "PPid:")?.parse().ok()?;
    let name = text(&format!("/proc/{parent}/comm")).trim().to_owned();
    is_ours(program, &listening::Holder { name, pid: parent }).then_some(parent)
}

/// A process of this name, where it does not answer on its socket.
fn listener_of(program: Program) -> Option<u32> {
    let all = listening::all();
    let holders = listening::holders(&all);
    let mut all = holders.into_values().flatten().filter(|holder| is_ours(program, holder));
    all.next().map(|holder| holder.pid)
}

/// The value behind `key` in `/proc/PID/status`.
fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// The soft limit of open descriptors in `/proc/PID/limits`; the program raises its own to the hard one.
fn limit_of(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let hard = line.split_ascii_whitespace().nth(1)?;
    if hard == "unlimited" { Some(u64::MAX) } else { hard.parse().ok() }
}

fn who_of(pid: u32) -> Option<Who> {
    let status = text(&format!("/proc/{pid}/status"));
    let numbers = |key| -> Option<Vec<u32>> {
        Some(field(&status, key)?.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect())
    };
    // Real, effective, saved, file system (proc(5)).
    let (uid, gid) = (*numbers("Uid:")?.get(1)?, *numbers("Gid:")?.get(1)?);
    let mut groups = numbers("Groups:")?;
    groups.push(gid);
    let capabilities = u64::from_str_radix(field(&status, "CapEff:")?, 16).ok()?;
    let user = user_of(|fields| fields.get(2) == Some(&uid.to_string().as_str()));
    let user = user.map_or_else(|| format!("uid {uid}"), |user| format!("user {}", user.0));
    Some(Who {
        name: format!("{user} (the service, pid {pid})"),
        uid,
        groups,
        reads_all: capabilities & (DAC_OVERRIDE | DAC_READ_SEARCH) != 0,
        binds_all: capabilities & NET_BIND_SERVICE != 0,
    })
}

/// Name, uid and gid of the first user in `/etc/passwd` that is the one.
fn user_of(is_it: impl Fn(&[&str]) -> bool) -> Option<(String, u32, u32)> {
    text("/etc/passwd").lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let found = (
            fields.first()?.to_string(),
            fields.get(2)?.parse().ok()?,
            fields.get(3)?.parse().ok()?,
        );
        is_it(&fields).then_some(found)
    })
}

fn who_of_unit(unit: &Unit) -> Option<Who> {
    let name = unit.user.as_deref().unwrap_or("root");
    let (user, uid, gid) = user_of(|fields| fields.first() == Some(&name))?;
    let member = |line: &str| {
        let fields: Vec<_> = line.split(':').collect();
        let is_in = fields.get(3)?.split(',').any(|member| member == user);
        is_in.then(|| fields.get(2)?.parse().ok())?
    };
    let groups = text("/etc/group").lines().filter_map(member).chain([gid]).collect();
    let root = uid == 0;
    Some(Who {
        name: format!("user {user} (of the unit)"),
        uid,
        groups,
        reads_all: root || unit.has("CAP_DAC_READ_SEARCH") || unit.has("CAP_DAC_OVERRIDE"),
        binds_all: root || unit.has("CAP_NET_BIND_SERVICE"),
    })
}

/// The unit's file and its drop-ins, as systemd reads them.
pub(crate) fn unit(program: Program) -> Option<Unit> {
    Some(Unit::parse(&unit_texts(program))).filter(|unit| !unit.files.is_empty())
}

/// The texts of the unit: its file, then its drop-ins in the order of their names, of which those of the
/// administrator hide others of the same name.
fn unit_texts(program: Program) -> Vec<(PathBuf, String)> {
    let name = format!("{}.service", program.name());
    let read = |path: PathBuf| Some((path.clone(), fs::read_to_string(path).ok()?));
    let base = UNITS.iter().find_map(|folder| read(Path::new(folder).join(&name)));
    let Some(base) = base else { return Vec::new() };
    let mut drop_ins: std::collections::BTreeMap<_, PathBuf> = std::collections::BTreeMap::new();
    for folder in UNITS {
        let folder = Path::new(folder).join(format!("{name}.d"));
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "conf") {
                drop_ins.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    std::iter::once(base).chain(drop_ins.into_values().filter_map(read)).collect()
}

/// What systemd says of HAProxy's unit; `None`: there is no systemd.
pub(super) fn haproxy_state() -> Option<UnitState> {
    Path::new(BOOTED).is_dir().then(|| unit_state("haproxy")).flatten()
}

/// What systemd says of a service.
fn unit_state(name: &str) -> Option<UnitState> {
    let wanted =
        "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,NRestarts,DropInPaths";
    let unit = format!("{name}.service");
    let output =
        Command::new("systemctl").args(["show", &unit, "--property", wanted]).output().ok()?;
    output.status.success().then(|| state_of(&String::from_utf8_lossy(&output.stdout)))
}

fn state_of(shown: &str) -> UnitState {
    let value = |key: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    UnitState {
        load: value("LoadState"),
        active: value("ActiveState"),
        sub: value("SubState"),
        file: value("UnitFileState"),
        needs_reload: value("NeedDaemonReload") == "yes",
        restarts: value("NRestarts").parse().unwrap_or(0),
        drop_ins: value("DropInPaths").split_ascii_whitespace().map(str::to_owned).collect(),
    }
}

/// Files that the plan names, keys beside its certificates, and what its directories of certificates hold.
fn paths(plan: &Plan) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = plan.files().map(Path::to_owned).collect();
    for directory in plan.certificates().filter(|path| path.is_dir()) {
        for entry in found::list(directory).unwrap_or_default() {
            let path = directory.join(&entry.name);
            let inside = entry.inside.iter().map(|inner| path.join(&inner.name));
            let all = inside.chain([path.clone()]);
            paths.extend(all.filter(|path| may_be_below(directory, path)));
        }
    }
    let keys: Vec<PathBuf> = paths.iter().flat_map(|path| keys_of(path)).collect();
    paths.extend(keys.into_iter().filter(|key| key.exists()));
    paths.sort();
    paths.dedup();
    paths.truncate(FILES_MAX);
    paths
}

/// Of the files that the plan names and what lies beside and below its certificates those that hold keys,
/// tokens or passwords.
pub(crate) fn secret_files(plan: &Plan) -> Vec<PathBuf> {
    let secrets = secrets(plan);
    let mut paths = paths(plan);
    paths.retain(|path| secrets.contains(path) || has_key(path));
    paths
}

/// The files that the plan names, and the keys beside its certificates.
pub(super) fn files(plan: &Plan) -> Vec<NamedFile> {
    let secrets = secrets(plan);
    let mut paths = paths(plan);
    paths.retain(|path| !path.is_dir());
    let named = |path: PathBuf| {
        let is_secret = secrets.contains(&path) || has_key(&path);
        NamedFile { steps: steps(&path).map_err(|error| error.to_string()), is_secret, path }
    };
    paths.into_iter().map(named).collect()
}

/// Files that the plan says hold something secret.
fn secrets(plan: &Plan) -> Vec<PathBuf> {
    use eclusa_config::plan::Probe;
    use eclusa_policy::rules::Act;
    let mut found: Vec<PathBuf> = Vec::new();
    for pool in &plan.pools {
        let clients = pool.probe.tls().and_then(|tls| tls.client.as_ref());
        let clients =
            clients.into_iter().chain(pool.tls.as_ref().and_then(|tls| tls.client.as_ref()));
        found.extend(clients.map(|(_, key)| key.clone()));
        found.extend(match &pool.probe {
            Probe::Http(http) => http.token_file.clone(),
            Probe::Grpc(grpc) => grpc.token_file.clone(),
            _ => None,
        });
        found.extend(pool.http.sticky_key.clone());
    }
    for listener in &plan.listeners {
        found.extend(listener.tls.as_ref().and_then(|tls| tls.tickets.clone()));
        let rules = listener.http.iter().flat_map(|http| &http.rules);
        found.extend(rules.filter_map(|rule| match &rule.act {
            Act::Authenticate(basic) => basic.file.clone(),
            _ => None,
        }));
    }
    found.extend(plan.dashboard.token_file.clone());
    found.extend(plan.certificates().flat_map(keys_of));
    found
}

/// Whether a file of certificates has a private key in it, as HAProxy lays them out.
fn has_key(path: &Path) -> bool {
    const LONGEST: u64 = 1 << 20;
    let small = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST);
    small
        && fs::read(path)
            .is_ok_and(|bytes| bytes.windows(16).any(|part| part == b"PRIVATE KEY-----"))
}

/// The directories on the way to a file as it is written and as links lead, and the file, last.
fn steps(path: &Path) -> io::Result<Vec<Step>> {
    let real = fs::canonicalize(path)?;
    let mut found: Vec<Step> = Vec::new();
    for way in [path, &real] {
        let mut above: Vec<&Path> = way.ancestors().skip(1).collect();
        above.reverse();
        for directory in above {
            let step = step(directory)?;
            if !found.contains(&step) {
                found.push(step);
            }
        }
    }
    found.push(Step { path: path.to_owned(), ..step(&real)? });
    Ok(found)
}

fn step(path: &Path) -> io::Result<Step> {
    let found = fs::metadata(path)?;
    // There is none where that fails.
    let has_acl = rustix::fs::getxattr_query(path, ACL).is_ok_and(|length| length > 0);
    Ok(Step {
        path: path.to_owned(),
        uid: found.uid(),
        gid: found.gid(),
        mode: found.permissions().mode(),
        has_acl,
    })
}

/// Where the edge looks for apiservers: endpoints, neighbours, and what was named; not this host itself.
pub(super) fn suspects(facts: &Facts, named: &[IpAddr]) -> Vec<IpAddr> {
    use eclusa_config::plan::EndpointAddress;
    let endpoints = facts.plan.pools.iter().flat_map(|pool| &pool.endpoints);
    let endpoints = endpoints.filter_map(|endpoint| match &endpoint.address {
        EndpointAddress::Socket(address) => Some(address.ip()),
        EndpointAddress::Name { .. } => None,
    });
    let all = named.iter().copied().chain(endpoints).chain(facts.host.neighbours.iter().copied());
    let mut found: Vec<IpAddr> = Vec::new();
    for address in all.map(|address| address.to_canonical()) {
        if !found.contains(&address) && !facts.host.has(address) && !address.is_loopback() {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
                      eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\n\
                      eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n\
                      eth1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\n";
        assert_eq!(default_routes(routes), 2);
        let arp = "IP address  HW type  Flags  HW address  Mask  Device\n\
                   10.0.0.11  0x1  0x2  02:00:00:00:00:01  *  eth1\n\
                   10.0.0.99  0x1  0x0  00:00:00:00:00:00  *  eth1\n";
        assert_eq!(neighbours(arp), ["10.0.0.11".parse::<IpAddr>().unwrap()]);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(limit_of(limits), Some(524_288));
        assert!(limit_of(&text("/proc/self/limits")).is_some());
    }

    #[test]
    fn this_process_is_somebody() {
        let who = who_of(std::process::id()).unwrap();
        assert_eq!(who.uid, rustix::process::geteuid().as_raw());
        assert!(who.groups.contains(&rustix::process::getegid().as_raw()));
    }

    #[test]
    fn the_way_to_a_file_has_its_directories() {
        let scratch = eclusa_testkit::process::Scratch::new("steps").unwrap();
        let file = scratch.write("a.pem", "x").unwrap();
        std::os::unix::fs::symlink(&file, scratch.path().join("link")).unwrap();
        let found = steps(&scratch.path().join("link")).unwrap();
        assert_eq!(found[0].path, Path::new("/"));
        assert!(found.iter().any(|step| step.path == scratch.path()));
        let last = found.last().unwrap();
        assert_eq!((last.path.ends_with("link"), last.mode & 0o777), (true, 0o644));
        assert!(steps(&scratch.path().join("none")).is_err());
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        let shown = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
                     NeedDaemonReload=yes\nNRestarts=2\nDropInPaths=/etc/a.conf /etc/b.conf\n";
        let state = state_of(shown);
        assert_eq!((state.active.as_str(), state.restarts), ("active", 2));
        assert!(state.needs_reload && state.drop_ins.len() == 2);
    }
}
