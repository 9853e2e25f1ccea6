//! Where a measurement happens: three network namespaces, or loopback; and on which cores.
//!
//! The namespaces have no names: each is held by a process that ends when its input does, so they
//! go with the runner however that ends, and two runners cannot get into each other's way.
//!
//! ```text
//! generator 10.240.1.2 ── 10.240.1.1 candidate 10.240.2.1 ── 10.240.2.2 endpoint
//!           10.240.3.2 ────────────────────────────────────── 10.240.3.1          (null test)
//! ```

use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::process::Process;
use rustix::process::geteuid;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

/// Ports inside the namespaces; above 1023, so that no capability is needed.
const CANDIDATE_PORT: u16 = 9000;
const ENDPOINT_PORT: u16 = 9001;

/// Who stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `bench load`.
    Generator,
    /// What is measured.
    Candidate,
    /// `bench endpoint`.
    Endpoint,
}

/// The cores of a measurement: one for the candidate, one for generator and endpoint together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The candidate's.
    pub candidate: usize,
    /// The others'.
    pub load: usize,
}

impl Cores {
    /// The first two that this process may use; `None` when there is only one: then nothing is
    /// pinned.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn choose() -> Outcome<Option<Self>> {
        let allowed = rustix::thread::sched_getaffinity(None).context(|| "affinity".into())?;
        let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let (first, second) = (cores.next(), cores.next());
        Ok(first.zip(second).map(|(candidate, load)| Self { candidate, load }))
    }
}

/// A place to measure in; dropping it takes the namespaces away.
pub struct Place {
    cores: Option<Cores>,
    /// Holders of the generator's, the candidate's and the endpoint's namespace; empty on loopback.
    holders: Vec<Process>,
    listen: SocketAddr,
    endpoint: SocketAddr,
    direct: SocketAddr,
}

/// Whether this process may make namespaces, which needs root.
#[must_use]
pub fn may_make_namespaces() -> bool {
    geteuid().is_root()
}

impl Place {
    /// Everything on 127.0.0.1, at ports that are free now.
    ///
    /// # Errors
    /// There is no free port.
    pub fn loopback(cores: Option<Cores>) -> Outcome<Self> {
        // Both are held until both are known, or they could be the same.
        let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(|| "no free port".into());
        let (first, second) = (any()?, any()?);
        let address = |l: &TcpListener| l.local_addr().context(|| "no free port".into());
        let endpoint = address(&second)?;
        let listen = address(&first)?;
        Ok(Self { cores, holders: Vec::new(), listen, endpoint, direct: endpoint })
    }

    /// Three fresh namespaces, joined as the picture above shows, with Reno as congestion control:
    /// BBR would pace the streams by timers.
    ///
    /// # Errors
    /// Not root, or `ip` and `sysctl` are not there.
    pub fn namespaces(cores: Option<Cores>, log: &Path, interrupt: &Interrupt) -> Outcome<Self> {
        let mut holders = Vec::new();
        for _ in 0..3 {
            let mut hold = Command::new("unshare");
            hold.args(["--net", "sh", "-c", "echo here; exec cat"]);
            let mut holder = Process::talking("namespace", hold, log)?;
            holder.line(interrupt)?;
            holders.push(holder);
        }
        let [generator, candidate, endpoint] = [holders[0].id(), holders[1].id(), holders[2].id()];
        links(
            generator,
            &format!(
                "link add ahead type veth peer name behind netns {candidate}\n\
                 link add direct type veth peer name direct netns {endpoint}\n\
                 addr add 10.240.1.2/24 dev ahead\naddr add 10.240.3.2/24 dev direct\n\
                 link set ahead up\nlink set direct up\n"
            ),
        )?;
        links(
            candidate,
            &format!(
                "link add ahead type veth peer name behind netns {endpoint}\n\
                 addr add 10.240.1.1/24 dev behind\naddr add 10.240.2.1/24 dev ahead\n\
                 link set behind up\nlink set ahead up\n"
            ),
        )?;
        links(
            endpoint,
            "addr add 10.240.2.2/24 dev behind\naddr add 10.240.3.1/24 dev direct\n\
             link set behind up\nlink set direct up\n",
        )?;
        Ok(Self {
            cores,
            holders,
            listen: ([10, 240, 1, 1], CANDIDATE_PORT).into(),
            endpoint: ([10, 240, 2, 2], ENDPOINT_PORT).into(),
            direct: ([10, 240, 3, 1], ENDPOINT_PORT).into(),
        })
    }

    /// Where the candidate listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where the candidate finds the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Where the generator finds the endpoint without a candidate.
    #[must_use]
    pub fn direct(&self) -> SocketAddr {
        self.direct
    }

    /// Where the endpoint listens: in namespaces on every address, as it has two.
    #[must_use]
    pub fn endpoint_listens(&self) -> SocketAddr {
        if self.holders.is_empty() {
            self.endpoint
        } else {
            (Ipv4Addr::UNSPECIFIED, self.endpoint.port()).into()
        }
    }

    /// Whether it has namespaces of its own.
    #[must_use]
    pub fn isolated(&self) -> bool {
        !self.holders.is_empty()
    }

    /// The beginning of a command that stands where `role` does, on its core; the program and its
    /// arguments are to be added.
    #[must_use]
    pub fn command(&self, role: Role) -> Vec<String> {
        let mut words = Vec::new();
        let (holder, core) = match role {
            Role::Generator => (0, self.cores.map(|cores| cores.load)),
            Role::Candidate => (1, self.cores.map(|cores| cores.candidate)),
            Role::Endpoint => (2, self.cores.map(|cores| cores.load)),
        };
        if let Some(holder) = self.holders.get(holder) {
            words.extend(["nsenter".into(), namespace(holder.id())]);
        }
        if let Some(core) = core {
            words.extend(["taskset".into(), "--cpu-list".into(), core.to_string()]);
        }
        words
    }
}

fn namespace(holder: u32) -> String {
    format!("--net=/proc/{holder}/ns/net")
}

/// Gives the lines to `ip -batch` inside the namespace of `holder`, and sets what its TCP does.
fn links(holder: u32, lines: &str) -> Outcome<()> {
    let mut ip = Command::new("nsenter");
    ip.args([&namespace(holder), "ip", "-batch", "-"]);
    complete(ip, &format!("link set lo up\n{lines}"))?;
    let mut sysctl = Command::new("nsenter");
    sysctl.args([&namespace(holder), "sysctl", "--quiet", "--write"]);
    sysctl.args([
        "net.ipv4.tcp_congestion_control=reno",
        "net.ipv4.ip_local_port_range=1024 65535",
        // Connect-close would run out of ports after five seconds.
        "net.ipv4.tcp_tw_reuse=1",
    ]);
    complete(sysctl, "")
}

/// Runs a short command to its end with `input`.
fn complete(mut command: Command, input: &str) -> Outcome<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = || {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().context(|| format!("{command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{command:?}: {}", words.trim())))
}
