//! Parts of the bundle that come from the host. What cannot be had is told in its place.

use crate::doctor::{SYSCTLS, unit};
use eclusa_config::plan::{EndpointAddress, Plan, Program};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The longest part, in bytes; the rest is cut off.
const PART_MAX: usize = 8 << 20;
/// How long the page of metrics may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ports that `ss` is asked for; more would be no filter.
const PORTS_MAX: usize = 40;

/// A part of the bundle.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What is in it; or why it is not there.
    pub(super) content: Result<String, String>,
}

impl Part {
    pub(super) fn new(
        name: &'static str,
        what: &'static str,
        content: Result<String, String>,
    ) -> Self {
        let cut = |mut text: String| {
            if text.len() > PART_MAX {
                let end = (0..=PART_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(end);
                text.push_str("\n(cut off here)\n");
            }
            text
        };
        Self { name, what, content: content.map(cut) }
    }

    /// It was scrubbed text by text.
    pub(super) fn is_json(&self) -> bool {
        Path::new(self.name).extension().is_some_and(|end| end == "json")
    }
}

/// Everything that the host tells. `pid`: of the process that carries the traffic.
pub(super) fn of_host(program: Program, plan: Option<&Plan>, pid: Option<u32>) -> Vec<Part> {
    vec![
        Part::new("metrics.txt", "the page of metrics", metrics(plan)),
        Part::new("sockets.txt", "ss -tin of the ports of listeners and endpoints", sockets(plan)),
        Part::new("sysctl.txt", "settings of the kernel", Ok(sysctls())),
        Part::new("network.txt", "addresses, routes, drops", Ok(network())),
        Part::new("process.txt", "limits and state of the process", process(pid)),
        Part::new("unit.txt", "the unit and its drop-ins", units(program)),
        Part::new("versions.txt", "of program, kernel, system", Ok(versions(program))),
    ]
}

fn metrics(plan: Option<&Plan>) -> Result<String, String> {
    let plan = plan.ok_or("the configuration is not understood: nobody knows where to ask")?;
    let address = plan.observe.listen.first().ok_or("`observe.listen` is not set")?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    get(address).map_err(|error| format!("{address}: {error}"))
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(PART_MAX as u64).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(text.lines().next().unwrap_or("no answer").to_owned())),
    }
}

/// What a program prints.
fn printed(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program}: {}", said.lines().next().unwrap_or("it failed")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn sockets(plan: Option<&Plan>) -> Result<String, String> {
    let plan = plan.ok_or("the configuration is not understood: nobody knows which ports")?;
    let listened: BTreeSet<u16> = plan.addresses().map(|address| address.port()).collect();
    let endpoints = plan.pools.iter().flat_map(|pool| &pool.endpoints);
    let dialled: BTreeSet<u16> = endpoints
        .map(|endpoint| match &endpoint.address {
            EndpointAddress::Socket(address) => address.port(),
            EndpointAddress::Name { port, .. } => *port,
        })
        .collect();
    let listened = listened.iter().map(|port| format!("sport = :{port}"));
    let dialled = dialled.iter().map(|port| format!("dport = :{port}"));
    let wanted: Vec<_> = listened.chain(dialled).take(PORTS_MAX).collect();
    printed("ss", &["-tina", &format!("( {} )", wanted.join(" or "))])
}

fn sysctls() -> String {
    let more = [
        "net.ipv4.tcp_congestion_control",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_mem",
        "net.ipv4.tcp_syncookies",
        "net.core.netdev_max_backlog",
        "fs.file-nr",
        "kernel.random.boot_id",
    ];
    let mut text = String::new();
    for name in SYSCTLS.iter().chain(&more) {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = fs::read_to_string(path).unwrap_or_else(|error| format!("({error})"));
        let _ = writeln!(text, "{name} = {}", value.trim());
    }
    text
}

/// Files of the kernel, each under its name.
fn files(paths: &[&str]) -> String {
    let mut text = String::new();
    for path in paths {
        let content = fs::read_to_string(path).unwrap_or_else(|error| format!("({error})\n"));
        let _ = write!(text, "== {path}\n{content}\n");
    }
    text
}

fn network() -> String {
    let mut text = String::new();
    for (address, bits) in eclusa_sys::interface::networks().unwrap_or_default() {
        let _ = writeln!(text, "address {address}/{bits}");
    }
    text + &files(&[
        "/proc/net/route",
        "/proc/net/snmp",
        "/proc/net/netstat",
        "/proc/net/sockstat",
        "/proc/net/dev",
    ])
}

fn process(pid: Option<u32>) -> Result<String, String> {
    let pid = pid.ok_or("no process answers")?;
    let path = |name: &str| format!("/proc/{pid}/{name}");
    let paths = ["limits", "status", "stat", "cgroup"].map(path);
    Ok(files(&paths.each_ref().map(String::as_str)))
}

fn units(program: Program) -> Result<String, String> {
    let unit = unit(program).ok_or("there is no unit on this host")?;
    let mut text = String::new();
    for path in &unit.files {
        let content = fs::read_to_string(path).unwrap_or_else(|error| format!("({error})\n"));
        let _ = writeln!(text, "== {}", path.display());
        for line in content.lines() {
            // Whatever stands there is for the program alone.
            let is_secret = ["Environment=", "SetCredential=", "SetCredentialEncrypted="]
                .iter()
                .any(|key| line.trim_start().starts_with(key));
            let _ = writeln!(
                text,
                "{}",
                if is_secret { "(a line with a value is left out)" } else { line }
            );
        }
    }
    let name = format!("{}.service", program.name());
    let wanted = "ActiveState,SubState,UnitFileState,NeedDaemonReload,NRestarts,Result,ExecMainStartTimestamp,\
                  StatusText,DropInPaths,MemoryCurrent,TasksCurrent,LimitNOFILE,User";
    let state = printed("systemctl", &["show", &name, "--property", wanted]);
    let _ = write!(text, "== systemctl show\n{}", state.unwrap_or_else(|why| format!("({why})\n")));
    Ok(text)
}

fn versions(program: Program) -> String {
    let own = format!("{} {}\n", program.name(), env!("CARGO_PKG_VERSION"));
    own + &files(&["/proc/version", "/etc/os-release", "/proc/loadavg", "/proc/meminfo"])
}
