//! The step about the beginning: on a clean Debian with its real systemd, what `docs/start.md` says is typed as
//! it stands there, from `apt install` to a balanced apiserver. Three fake masters with real TLS stand beside.

use super::Yield;
use super::packages::root::{self, Container, Said, wait};
use super::work::fake;
use crate::step::program;
use crate::{Outcome, dist, tree};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The page that is proved.
const PAGE: &str = "docs/start.md";
/// Clean hosts that begin.
const ROUNDS: usize = 3;
/// Commands and seconds that it may take.
const COMMANDS: usize = 4;
const SECONDS: u64 = 60;
/// Where the masters are, and the host, as the page has them.
const MASTERS: [&str; 3] = ["10.0.0.11", "10.0.0.12", "10.0.0.13"];
const HOST: &str = "10.0.0.10";
/// New connections that are asked through it.
const ASKED: usize = 12;

/// Runs it; files go to `folder`, where the step about packages has its own.
pub fn run(folder: &Path) -> Yield {
    let mut items = Vec::new();
    let trouble = all(&folder.join("packages"), &mut items).err();
    let command = format!(
        "the first commands of {PAGE}, and those about the edge, typed in a clean Debian 12"
    );
    Yield { items, command, trouble, ..Yield::default() }
}

fn all(folder: &Path, items: &mut Vec<Value>) -> Outcome {
    let fake = fake()?;
    let debs = dist::write(&dist::Options::new(folder.join("first"), None))?;
    let page = tree::root().join(PAGE);
    let page = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    let masters =
        commands(&page, "# Start").ok_or(format!("{PAGE} does not begin with commands"))?;
    let edge =
        commands(&page, "## The edge").ok_or(format!("{PAGE} has no commands of the edge"))?;
    let (mut rounds, mut last) = (Vec::new(), String::new());
    for _ in 0..ROUNDS {
        let host = CleanHost::boot(folder, &debs)?;
        let site = Masters::start(folder, &fake, &host.container)?;
        let round = host.begin(&masters, &site);
        println!("{}", round.words());
        rounds.push(round);
        last = host.edge(&edge);
    }
    items.extend([about_masters(&masters, &rounds), about_edge(&edge, &last)]);
    Ok(())
}

fn about_masters(commands: &[String], rounds: &[Round]) -> Value {
    let good = rounds.iter().filter(|round| round.trouble.is_none()).count();
    let mut took: Vec<_> = rounds.iter().map(|round| round.took).collect();
    took.sort_unstable();
    let seconds =
        |at: usize| took.get(at).map_or(String::new(), |it| format!("{:.1} s", it.as_secs_f64()));
    let trouble = rounds.iter().find_map(|round| round.trouble.clone());
    let within = took.iter().all(|took| took.as_secs() < SECONDS) && commands.len() <= COMMANDS;
    let figure = format!(
        "{} commands; {good} of {} balanced: {}",
        commands.len(),
        rounds.len(),
        rounds.last().map(Round::words).unwrap_or_default()
    );
    json!({
        "item": "6.1 from `apt install` to a balanced apiserver, as docs/start.md has it",
        "bound": format!("at most {COMMANDS} commands and {SECONDS} s; each master answers through it"),
        "n": rounds.len(), "figure": figure,
        "worst": seconds(took.len().saturating_sub(1)), "median": seconds(took.len() / 2),
        "passed": good == rounds.len() && within,
        "note": trouble.unwrap_or_else(|| format!("`{}`", commands.join("`, `"))),
    })
}

fn about_edge(commands: &[String], trouble: &str) -> Value {
    let figure = if trouble.is_empty() { "all end well, the service is active" } else { trouble };
    json!({
        "item": "6.2 the edge on the same host, as docs/start.md has it",
        "bound": "each command ends well", "n": commands.len(), "figure": figure,
        "passed": trouble.is_empty(),
        "note": format!("`{}`", commands.join("`, `")),
    })
}

/// The commands of the first block of `sh` behind a heading.
fn commands(page: &str, heading: &str) -> Option<Vec<String>> {
    let mut lines =
        page.lines().skip_while(|line| *line != heading).skip_while(|line| *line != "```sh");
    lines.next()?;
    Some(lines.take_while(|line| *line != "```").map(ToOwned::to_owned).collect())
}

/// One beginning.
struct Round {
    took: Duration,
    /// How many answers each master gave through the balancer.
    answers: Vec<(&'static str, usize)>,
    trouble: Option<String>,
}

impl Round {
    fn words(&self) -> String {
        let answers: Vec<_> =
            self.answers.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let took = self.took.as_secs_f64();
        match &self.trouble {
            None => format!("{took:.1} s, answers of {}", answers.join(", ")),
            Some(trouble) => format!("{took:.1} s: {trouble}"),
        }
    }
}

/// A Debian on which nothing is but the packages, in a file each.
struct CleanHost {
    container: Container,
}

impl CleanHost {
    fn boot(folder: &Path, debs: &[PathBuf]) -> Outcome<Self> {
        let root = root::clean(folder)?;
        for deb in debs.iter().filter(|path| path.extension().is_some_and(|it| it == "deb")) {
            let name = deb.file_name().unwrap_or_default();
            fs::copy(deb, root.join("root").join(name)).map_err(|error| error.to_string())?;
        }
        // What whoever sits there answers when apt asks.
        let yes = root.join("etc/apt/apt.conf.d/90-yes");
        fs::write(yes, "APT::Get::Assume-Yes \"true\";\n").map_err(|error| error.to_string())?;
        Ok(Self { container: Container::boot(&root)? })
    }

    /// Types a command as the page has it.
    fn typed(&self, line: &str) -> Said {
        println!("# {line}");
        self.container.run(&["bash", "-c", &format!("cd /root && {line}")])
    }

    fn begin(&self, commands: &[String], site: &Masters) -> Round {
        let began = Instant::now();
        let mut trouble = None;
        for line in commands {
            let said = self.typed(line);
            if !said.good {
                trouble = Some(format!("{line}: {}", said.text.trim().replace('\n', "; ")));
                break;
            }
        }
        let mut answers: Vec<_> = NAMES.iter().map(|name| (*name, 0)).collect();
        if trouble.is_none() {
            for _ in 0..ASKED {
                match site.ask() {
                    Ok(name) => answers
                        .iter_mut()
                        .filter(|(it, _)| *it == name)
                        .for_each(|(_, count)| *count += 1),
                    Err(error) => trouble = Some(error),
                }
            }
        }
        let took = began.elapsed();
        if trouble.is_none() && answers.iter().any(|(_, count)| *count == 0) {
            trouble = Some(format!("not all masters answer: {answers:?}"));
        }
        Round { took, answers, trouble }
    }

    /// What went wrong at the edge.
    fn edge(&self, commands: &[String]) -> String {
        for line in commands {
            let said = self.typed(line);
            if !said.good {
                return format!("{line}: {}", said.text.trim().replace('\n', "; "));
            }
        }
        match self.container.property("eclusa-edge", "ActiveState") {
            state if state == "active" => String::new(),
            state => format!("eclusa-edge is {state}"),
        }
    }
}

/// What the masters call themselves.
const NAMES: [&str; 3] = ["master1", "master2", "master3"];

/// Three masters in a network of their own, on a cable to the host; they end when dropped.
struct Masters {
    namespace: String,
    /// The program that each of them is.
    fake: PathBuf,
    ca: PathBuf,
    processes: Vec<Child>,
}

impl Masters {
    fn start(folder: &Path, fake: &Path, host: &Container) -> Outcome<Self> {
        let namespace = format!("eclusa-start-{}", std::process::id());
        let ca = folder.join("ca");
        let fake = fake.to_owned();
        let mut masters = Self { namespace, fake, ca, processes: Vec::new() };
        done(Command::new(&masters.fake).arg("ca").arg(&masters.ca))?;
        let (first, name) = (host.first().to_string(), masters.namespace.clone());
        done(program("ip").args(["netns", "add", &name]))?;
        let cable = [
            "link", "add", "masters", "netns", &name, "type", "veth", "peer", "name", "eth0",
            "netns", &first,
        ];
        done(program("ip").args(cable))?;
        let inside = |words: &[&str]| {
            let mut command = program("ip");
            command.args(["-n", &name]).args(words);
            done(&mut command)
        };
        for address in MASTERS {
            inside(&["addr", "add", &format!("{address}/22"), "dev", "masters"])?;
        }
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "set", "masters", "up"])?;
        for words in
            [&["addr", "add", "10.0.0.10/22", "dev", "eth0"][..], &["link", "set", "eth0", "up"]]
        {
            let mut command = program("nsenter");
            done(command.args(["--net", "--target", &first, "ip"]).args(words))?;
        }
        for (address, name) in MASTERS.into_iter().zip(NAMES) {
            let process = masters.master(address, name).spawn();
            masters.processes.push(process.map_err(|error| format!("eclusa-fake: {error}"))?);
        }
        let serves = |address: &&str| masters.get(address, address).is_ok();
        match wait(|| MASTERS.iter().all(serves)) {
            true => Ok(masters),
            false => Err("the masters do not answer".into()),
        }
    }

    fn master(&self, address: &str, name: &str) -> Command {
        let mut command = program("ip");
        command.args(["netns", "exec", &self.namespace]).arg(&self.fake);
        command.args(["apiserver", "--listen", &format!("{address}:6443"), "--name", name]);
        command.arg("--ca").arg(&self.ca).args([
            "--san",
            "kubernetes",
            "--san",
            address,
            "--san",
            HOST,
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Which master answers a new connection through the host.
    fn ask(&self) -> Outcome<String> {
        self.get("kubernetes", HOST)
    }

    /// Which master answers at an address; its certificate must be good for `name`.
    fn get(&self, name: &str, address: &str) -> Outcome<String> {
        let mut command = program("ip");
        command.args(["netns", "exec", &self.namespace, "curl", "--silent", "--show-error"]);
        command.args(["--fail", "--max-time", "10", "--output", "/dev/null", "--noproxy", "*"]);
        command.args(["--write-out", "%header{x-master}", "--cacert"]).arg(self.ca.join("ca.pem"));
        command.args(["--connect-to", &format!("{name}:6443:{address}:6443")]);
        command.arg(format!("https://{name}:6443/api/v1/nodes")).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("curl: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Masters {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = (process.kill(), process.wait());
        }
        // With it the cable goes.
        let _ = done(program("ip").args(["netns", "delete", &self.namespace]));
    }
}

/// Runs a program of this machine to its end.
fn done(command: &mut Command) -> Outcome {
    let words = crate::step::typed(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{words}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{words}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_begins_with_four_commands_and_the_edge_s_are_found() {
        let page = fs::read_to_string(tree::root().join(PAGE)).unwrap();
        let masters = commands(&page, "# Start").unwrap();
        assert!(
            masters.len() <= COMMANDS && masters[0].starts_with("apt install ./eclusa-apiserver_")
        );
        let named = MASTERS.iter().all(|master| masters.iter().any(|line| line.contains(master)));
        assert!(named && masters.last().is_some_and(|line| line == "eclusa-apiserver status"));
        let edge = commands(&page, "## The edge").unwrap();
        assert!(edge[0].starts_with("apt install ./eclusa-edge_"), "{edge:?}");
        assert_eq!(commands(&page, "# Nothing"), None);
    }
}
