//! The step about packages: built twice, looked at by lintian, installed in a clean Debian with its real
//! systemd, upgraded, removed, purged.

pub(super) mod root;

use super::Yield;
use crate::deny::DAEMONS;
use crate::step::{self, program};
use crate::{Outcome, dist};
use root::{Container, Said, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a tool may take.
const LIMIT: Duration = Duration::from_secs(600);

/// A version that comes after the one of this checkout.
const NEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "+1");

const EDGE: &str = "eclusa-edge";
const APISERVER: &str = "eclusa-apiserver";

/// What the operator writes: no endpoint answers, but the service is up.
const CONFIG: [(&str, &str); 2] = [
    (
        "/etc/eclusa/edge.toml",
        "[listener.web]\nlisten = [\"127.0.0.1:443\"]\npool = \"web\"\n[pool.web]\n\
         endpoints = [\"127.0.0.1:8443\"]\nprobe = { kind = \"none\" }\n",
    ),
    ("/etc/eclusa/apiserver.toml", "masters = [\"127.0.0.11\", \"127.0.0.12\", \"127.0.0.13\"]\n"),
];

/// What the operator has changed in a file that is the package's.
const ROTATION: &str = "/etc/logrotate.d/eclusa-edge";

/// Runs it; files go to `folder`.
pub fn run(folder: &Path) -> Yield {
    let mut shown = Shown { folder: folder.join("packages"), items: Vec::new() };
    let trouble = shown.all().err();
    let command =
        "cargo xtask dist, then in a clean Debian root: apt-get install, upgrade, remove, purge";
    Yield { items: shown.items, command: command.into(), trouble, ..Yield::default() }
}

struct Shown {
    folder: PathBuf,
    items: Vec<Value>,
}

impl Shown {
    fn record(
        &mut self,
        item: &str,
        bound: &str,
        n: usize,
        passed: bool,
        figure: impl Into<String>,
    ) {
        let figure = figure.into();
        println!("{item}: {figure} (bound: {bound})");
        self.items.push(
            json!({"item": item, "bound": bound, "n": n, "passed": passed, "figure": figure}),
        );
    }

    fn all(&mut self) -> Outcome {
        let debs = self.packed()?;
        self.looked_at(&debs)?;
        let next = dist::write(&self.options("next", Some(NEXT)))?;
        let root = root::clean(&self.folder)?;
        for (place, files) in [("first", &debs), ("next", &only_debs(&next))] {
            let to = root.join("srv").join(place);
            fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
            for file in files {
                let name = file.file_name().unwrap_or_default();
                fs::copy(file, to.join(name)).map_err(|error| error.to_string())?;
            }
        }
        let container = Container::boot(&root)?;
        let before = places(&container);
        self.installed(&container);
        self.started(&container)?;
        self.upgraded(&container);
        self.removed(&container);
        self.purged(&container, &before);
        Ok(())
    }

    fn options(&self, name: &str, version: Option<&str>) -> dist::Options {
        dist::Options::new(self.folder.join(name), version)
    }

    /// Packed twice; yields the packages.
    fn packed(&mut self) -> Outcome<Vec<PathBuf>> {
        let [one, two] = ["first", "again"].map(|name| dist::write(&self.options(name, None)));
        let (one, two) = (one?, two?);
        let same = |(one, two): (&PathBuf, &PathBuf)| fs::read(one).ok() == fs::read(two).ok();
        let same = one.iter().zip(&two).filter(|pair| same(*pair)).count();
        let sizes: Vec<_> = only_debs(&one)
            .iter()
            .filter_map(|deb| Some(format!("{:.1} MB", fs::metadata(deb).ok()?.len() as f64 / 1e6)))
            .collect();
        let figure =
            format!("{same} of {} the same; packages of {}", one.len(), sizes.join(" and "));
        let bound = "packed twice from the same programs: the same bytes";
        self.record("5.1 cargo xtask dist", bound, one.len(), same == one.len(), figure);
        Ok(only_debs(&one))
    }

    fn looked_at(&mut self, debs: &[PathBuf]) -> Outcome {
        let mut lintian = program("lintian");
        lintian.args(["--allow-root", "--no-cfg", "--tag-display-limit=0"]).args(debs);
        let ran = step::run_quietly(&mut lintian, LIMIT);
        if ran.trouble.as_ref().is_some_and(|trouble| trouble.starts_with("cannot run")) {
            return Err("no lintian: apt-get install lintian".into());
        }
        if let Some(trouble) = ran.trouble.filter(|trouble| !trouble.contains("exit status: 2")) {
            return Err(format!("lintian: {trouble}"));
        }
        let count = |letter: &str| ran.lines.iter().filter(|line| line.starts_with(letter)).count();
        let (errors, warnings) = (count("E: "), count("W: "));
        let figure = format!("{errors} errors, {warnings} warnings");
        self.record("5.2 lintian", "no errors", debs.len(), errors == 0, figure);
        Ok(())
    }

    fn installed(&mut self, container: &Container) {
        let mut install = vec!["apt-get", "install", "-y", "--no-install-recommends"];
        let debs = inside(container, "first");
        install.extend(debs.iter().map(String::as_str));
        let said = container.run(&install);
        let states: Vec<_> =
            DAEMONS.map(|program| format!("{program} {}", state(container, program))).into();
        let calm = DAEMONS.iter().all(|program| state(container, program) == "inactive disabled");
        let user = container.run(&["getent", "passwd", "eclusa"]);
        let nobody = user.text.contains("/nologin");
        let failed = container.run(&["systemctl", "list-units", "--failed", "--quiet"]);
        let passed = said.good && calm && user.good && nobody && failed.text.trim().is_empty();
        let figure = states.join(", ") + &trouble(&[&said]);
        let bound = "installed, a user without login made, nothing enabled, started or failed";
        self.record("5.3 apt-get install of both", bound, debs.len(), passed, figure);

        let units: Vec<_> = DAEMONS.map(|program| format!("{program}.service")).into();
        let words: Vec<_> = ["systemd-analyze", "verify", "--man=no"]
            .into_iter()
            .chain(units.iter().map(String::as_str))
            .collect();
        let said = container.run(&words);
        let passed = said.good && said.text.trim().is_empty();
        let figure = format!("{} lines said{}", said.text.lines().count(), first_line(&said.text));
        self.record("5.4 systemd-analyze verify", "nothing said", units.len(), passed, figure);
    }

    fn started(&mut self, container: &Container) -> Outcome {
        for (path, text) in CONFIG {
            fs::write(container.path(path), text).map_err(|error| format!("{path}: {error}"))?;
        }
        let mut told = Vec::new();
        for program in DAEMONS {
            let check = container.run(&[program, "check"]);
            let enable = container.run(&["systemctl", "enable", "--now", program]);
            // As root and through the admin socket.
            let status = container.run(&[program, "status"]);
            if !(check.good && enable.good && status.good) {
                told.push(format!("{program}: {} {} {}", check.text, enable.text, status.text));
            }
            told.extend(Some(state(container, program)).filter(|state| state != "active enabled"));
        }
        let figure =
            if told.is_empty() { "both active and enabled".into() } else { told.join("; ") };
        let bound =
            "a file written, `systemctl enable --now`: the service is active and answers `status`";
        self.record("5.5 started", bound, DAEMONS.len(), told.is_empty(), figure);
        Ok(())
    }

    fn upgraded(&mut self, container: &Container) {
        let rotation = container.path(ROTATION);
        let changed = fs::read_to_string(&rotation).unwrap_or_default().replace("daily", "weekly");
        let _ = fs::write(&rotation, &changed);
        let drained = container.run(&[
            EDGE,
            "endpoint",
            "drain",
            "web/127.0.0.1:8443",
            "--force",
            "--reason",
            "to leave a state behind",
        ]);
        let pids = || DAEMONS.map(|program| container.property(program, "MainPID"));
        let before = pids();
        let mut install = vec!["apt-get", "install", "-y", "--no-install-recommends"];
        let debs = inside(container, "next");
        install.extend(debs.iter().map(String::as_str));
        let said = container.run(&install);
        let versions = DAEMONS.map(|program| version(container, program));
        let kept = CONFIG.iter().all(|(path, text)| {
            fs::read_to_string(container.path(path)).is_ok_and(|found| found == *text)
        });
        let own = fs::read_to_string(&rotation).is_ok_and(|found| found == changed);
        let goes_on = before == pids()
            && before.iter().all(|pid| pid.parse::<u32>().is_ok_and(|pid| pid > 1));
        let told = said.text.matches("the program that runs is the old one").count();
        let passed = said.good
            && drained.good
            && versions.iter().all(|version| version == NEXT)
            && kept
            && own
            && goes_on
            && told == DAEMONS.len();
        let figure = format!(
            "now {}; the same main processes: {goes_on}; configuration kept: {kept}; a changed \
             conffile kept: {own}; told to restart: {told}{}",
            versions.join(", "),
            trouble(&[&said, &drained]),
        );
        let bound = "the running programs are left alone, the operator's files kept";
        self.record("5.6 upgraded while both run", bound, debs.len(), passed, figure);

        let restarted = container.run(&["systemctl", "restart", EDGE, APISERVER]);
        let figure = DAEMONS.map(|program| state(container, program)).join(", ");
        let passed =
            restarted.good && before != pids() && figure == "active enabled, active enabled";
        let bound = "active with another main process";
        self.record("5.7 restarted by hand", bound, DAEMONS.len(), passed, figure);
    }

    fn removed(&mut self, container: &Container) {
        let state_file = container.path("/var/lib/eclusa/edge.json");
        let had = state_file.exists();
        let said = container.run(&["apt-get", "remove", "-y", EDGE]);
        let gone = !container.path("/usr/bin/eclusa-edge").exists()
            && container.property(EDGE, "LoadState") == "not-found"
            && container.run(&["pidof", EDGE]).text.trim().is_empty();
        let kept = had && state_file.exists() && container.path(CONFIG[0].0).exists();
        let other = state(container, APISERVER);
        let passed = said.good && gone && kept && other == "active enabled";
        let figure = format!(
            "stopped and gone: {gone}; state and configuration kept: {kept}; the other program: {other}{}",
            trouble(&[&said]),
        );
        let bound =
            "the program is gone, its state and configuration are not, the other one goes on";
        self.record("5.8 apt-get remove", bound, 1, passed, figure);
    }

    fn purged(&mut self, container: &Container, before: &BTreeSet<String>) {
        let said = container.run(&["apt-get", "purge", "-y", EDGE]);
        let gone = !container.path("/var/lib/eclusa/edge.json").exists();
        let goes_on = container.run(&[APISERVER, "status"]).good;
        let shared = container.path("/var/lib/eclusa").exists();
        let passed = said.good && gone && goes_on && shared;
        let figure = format!("its state gone: {gone}; the other program answers: {goes_on}");
        let bound = "its state is gone, what it shares with the other program is not";
        self.record("5.9 apt-get purge of one of both", bound, 1, passed, figure);

        let said = container.run(&["apt-get", "purge", "-y", APISERVER]);
        // The manager makes the directories; it may be asked about what it still holds.
        wait(|| !container.path("/run/eclusa").exists());
        let left: Vec<_> = places(container).difference(before).cloned().collect();
        let configuration = ["/etc/eclusa", "/etc/eclusa/apiserver.toml", "/etc/eclusa/edge.toml"];
        let passed = said.good && left == configuration;
        let bound = "of all paths only the operator's configuration is new";
        self.record(
            "5.10 purged",
            bound,
            before.len(),
            passed,
            format!("left: {}", left.join(", ")),
        );
    }
}

fn only_debs(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_deb = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    files.iter().filter(is_deb).cloned().collect()
}

/// The packages in a folder of `/srv`, as inside.
fn inside(container: &Container, place: &str) -> Vec<String> {
    let entries = fs::read_dir(container.path(&format!("/srv/{place}"))).into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut paths: Vec<_> =
        entries.filter_map(|entry| Some(format!("/srv/{place}/{}", name(entry.ok()?)))).collect();
    paths.sort();
    paths
}

/// `active enabled`.
fn state(container: &Container, program: &str) -> String {
    let [active, enabled] =
        ["ActiveState", "UnitFileState"].map(|name| container.property(program, name));
    format!("{active} {enabled}")
}

fn version(container: &Container, program: &str) -> String {
    let said = container.run(&["dpkg-query", "--show", "--showformat=${Version}", program]);
    said.text.trim().to_owned()
}

/// The last words of what went wrong.
fn trouble(all: &[&Said]) -> String {
    let last = |said: &&Said| said.text.trim().lines().last().map(ToOwned::to_owned);
    let words: Vec<_> =
        all.iter().copied().filter(|said| !said.good).filter_map(|said| last(&said)).collect();
    words.iter().fold(String::new(), |text, words| text + "; " + words)
}

fn first_line(text: &str) -> String {
    text.lines().next().map_or(String::new(), |line| format!(": {line}"))
}

/// What dpkg, apt and systemd keep for themselves, and the copies of /etc/passwd and the like.
const RECORDS: [&str; 9] = [
    "/etc/.pwd.lock",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/var/cache/",
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/var/log/",
];

/// All paths of the root's own file system, without these records where they are of no product.
fn places(container: &Container) -> BTreeSet<String> {
    let said = container.run(&["find", "/", "/run", "-xdev", "-not", "-path", "/proc/*", "-print"]);
    let is_record = |path: &&str| {
        let begins = RECORDS.iter().any(|record| path.starts_with(record));
        (begins && !path.contains("eclusa")) || path.starts_with("/run/systemd/")
    };
    said.text.lines().filter(|path| !is_record(path)).map(ToOwned::to_owned).collect()
}
