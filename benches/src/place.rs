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
use crate::template::Words;
use rustix::process::geteuid;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where further endpoints are: the endpoint's namespace takes all of it for its own.
const FURTHER: Ipv4Addr = Ipv4Addr::new(10, 241, 0, 0);

/// Endpoints at most: as many as there are addresses.
const ENDPOINTS_MAX: usize = 1 << 16;

/// Ports inside the namespaces; above 1023, so that no capability is needed.
const CANDIDATE_PORT: u16 = 9000;
const ENDPOINT_PORT: u16 = 9001;

/// Who stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `bench load`.
    Generator,
    /// What is measured, with so many threads or processes that carry traffic.
    Candidate {
        /// How many.
        workers: usize,
    },
    /// `bench endpoint`.
    Endpoint,
}

/// The cores of a measurement: the first ones for the candidate, the last for generator and endpoint
/// together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Those that this process may use; `None` when there is only one: then nothing is pinned.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn choose() -> Outcome<Option<Self>> {
        let allowed = rustix::thread::sched_getaffinity(None).context(|| "affinity".into())?;
        let cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let cores: Vec<_> = cores.collect();
        Ok((cores.len() > 1).then_some(Self(cores)))
    }

    /// Those of a candidate with so many workers, as a list; with more workers than cores all of
    /// them, the load's included.
    #[must_use]
    pub fn candidate(&self, workers: usize) -> String {
        let cores: Vec<_> = self.0.iter().take(workers).map(ToString::to_string).collect();
        cores.join(",")
    }

    /// That of generator and endpoint.
    #[must_use]
    pub fn load(&self) -> usize {
        self.0.last().copied().unwrap_or(0)
    }
}

/// A place to measure in; dropping it takes the namespaces away.
#[derive(Debug)]
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
                 link set behind up\nlink set ahead up\n\
                 route add {FURTHER}/16 via 10.240.2.2\n"
            ),
        )?;
        links(
            endpoint,
            &format!(
                "addr add 10.240.2.2/24 dev behind\naddr add 10.240.3.1/24 dev direct\n\
                 link set behind up\nlink set direct up\nroute add local {FURTHER}/16 dev lo\n"
            ),
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

    /// `count` addresses at which the candidate finds the endpoint, as words of a list.
    ///
    /// # Errors
    /// There are not as many: without namespaces there is one.
    pub fn endpoints(&self, count: usize) -> Outcome<Vec<Words>> {
        if count > 1 && !self.isolated() {
            return Err(Failure::new(format!("{count} endpoints need namespaces, and so root")));
        }
        if count > ENDPOINTS_MAX {
            return Err(Failure::new(format!("at most {ENDPOINTS_MAX} endpoints, not {count}")));
        }
        let port = self.endpoint.port();
        let first = std::iter::once(self.endpoint.ip().to_string());
        let further = (1..).map(|n: u32| Ipv4Addr::from(u32::from(FURTHER) + n).to_string());
        let words = |(number, address): (usize, String)| {
            Words::from([
                ("number", number.to_string()),
                ("endpoint", format!("{address}:{port}")),
                ("endpoint_address", address),
                ("endpoint_port", port.to_string()),
            ])
        };
        Ok(first.chain(further).take(count).enumerate().map(words).collect())
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

    /// The beginning of a command that stands where `role` does, on its cores; the program and its
    /// arguments are to be added.
    #[must_use]
    pub fn command(&self, role: Role) -> Vec<String> {
        let mut words = Vec::new();
        let cores = self.cores.as_ref();
        let (holder, cores) = match role {
            Role::Generator => (0, cores.map(|cores| cores.load().to_string())),
            Role::Candidate { workers } => (1, cores.map(|cores| cores.candidate(workers))),
            Role::Endpoint => (2, cores.map(|cores| cores.load().to_string())),
        };
        if let Some(holder) = self.holders.get(holder) {
            words.extend(["nsenter".into(), namespace(holder.id())]);
        }
        if let Some(cores) = cores {
            words.extend(["taskset".into(), "--cpu-list".into(), cores]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_get_a_core_for_each_worker() {
        let cores = Cores(vec![0, 1, 4]);
        assert_eq!(
            (cores.candidate(1), cores.candidate(2), cores.load()),
            ("0".into(), "0,1".into(), 4)
        );
        assert_eq!(Cores(vec![0, 1]).candidate(9), "0,1");
    }

    #[test]
    fn loopback_has_one_endpoint() {
        let place = Place::loopback(None).expect("free ports");
        let one = place.endpoints(1).expect("one");
        assert_eq!(one[0]["endpoint"], place.endpoint().to_string());
        assert!(place.endpoints(2).is_err_and(|error| error.to_string().contains("root")));
    }
}
