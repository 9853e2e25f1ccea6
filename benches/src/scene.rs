//! Endpoint and candidate, started fresh in a place of their own.

use crate::binaries::Binary;
use crate::case::Work;
use crate::certificate;
use crate::configuration::{self, Site};
use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::meter;
use crate::place::{Cores, Place, Role};
use crate::process::{Process, Scratch};
use crate::service::Identity;
use crate::setup::Setup;
use crate::stage::Stage;
use clap::ValueEnum;
use rustix::process::Signal;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A traffic process that nobody has ended by then ends by itself.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// How long a candidate may take until it listens, and one whose instructions are counted: fifty
/// times as slow.
const STARTS: Duration = Duration::from_secs(30);
const STARTS_COUNTED: Duration = Duration::from_secs(120);

/// What all measurements of a run have in common.
pub struct Bench {
    /// This program, which is also generator and endpoint.
    pub program: PathBuf,
    /// Where files of the run go.
    pub scratch: Scratch,
    /// As whom candidates run; `None` without root: as the one who runs this.
    pub identity: Option<Identity>,
    /// The cores, if there are two.
    pub cores: Option<Cores>,
    /// In namespaces, or on loopback.
    pub namespaces: bool,
    /// The programs that were found.
    pub binaries: Vec<Binary>,
    /// Descriptors that a process may have.
    pub descriptors: u64,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Places made so far.
    pub places: Cell<usize>,
}

/// Endpoint and candidate, running; dropping it ends them and takes their place away.
pub struct Scene<'a> {
    bench: &'a Bench,
    /// The candidate; `None` in the null test.
    pub candidate: Option<Process>,
    /// The endpoint.
    pub endpoint: Process,
    stage: Stage,
    directory: PathBuf,
    log: PathBuf,
    reload: Option<Reload>,
    // Last: processes go before their namespaces do.
    place: Place,
}

/// What a candidate is reloaded with.
struct Reload {
    template: PathBuf,
    flavour: Option<String>,
    binary: Binary,
    signal: Signal,
    generation: usize,
}

impl<'a> Scene<'a> {
    /// Makes a place and starts endpoint and candidate in it. `wrap` is put before the candidate's
    /// own command.
    ///
    /// # Errors
    /// One of them does not start, or does not listen in time.
    pub fn set(bench: &'a Bench, setup: &Setup, stage: Stage, wrap: &[String]) -> Outcome<Self> {
        let number = bench.places.get();
        bench.places.set(number + 1);
        let directory = bench.scratch.path().join(format!("{number}-{}", setup.name));
        fs::create_dir(&directory).context(|| directory.display().to_string())?;
        let log = bench.scratch.path().join(format!("{number}-{}.log", setup.name));
        let place = if bench.namespaces {
            Place::namespaces(bench.cores.clone(), &log, &bench.interrupt)?
        } else {
            Place::loopback(bench.cores.clone())?
        };
        let mut arguments = vec!["--listen".into(), place.endpoint_listens().to_string()];
        arguments.extend(["--work".into(), word_of(stage.work)]);
        arguments.extend(["--bytes".into(), stage.bytes.to_string()]);
        // Without a candidate the endpoint has to speak what that would.
        let behind = |http: crate::work::Http| match setup.template {
            Some(_) => http.behind(),
            None => http,
        };
        if let Some(http) = stage.http.map(behind) {
            arguments.extend(["--http".into(), http.to_word()]);
        }
        let endpoint = bench.traffic(&place, Role::Endpoint, "endpoint", arguments);
        let mut endpoint = Process::talking("the endpoint", endpoint, &log)?;
        endpoint.line(&bench.interrupt)?;
        let mut scene =
            Self { bench, candidate: None, endpoint, stage, directory, log, reload: None, place };
        scene.start(setup, wrap)?;
        Ok(scene)
    }

    /// Starts the candidate, if there is one, and waits until it listens.
    fn start(&mut self, setup: &Setup, wrap: &[String]) -> Outcome<()> {
        let Some((kind, template)) = &setup.template else { return Ok(()) };
        let bench = self.bench;
        let Self { stage, directory, place, log, .. } = &*self;
        let binary = bench.binaries.iter().find(|binary| binary.kind == *kind);
        let binary = binary.ok_or_else(|| Failure::new(format!("no {}", kind.name())))?;
        let site = site(bench, place, stage, directory);
        let flavour = setup.flavour.as_deref();
        let configuration = configuration::write(template, flavour, binary, site, 0)?;
        let key = stage.http.map(|http| http.key).unwrap_or_default();
        let certificate = certificate::path(bench.scratch.path(), key);
        fs::copy(&certificate, directory.join(certificate::FILE))
            .context(|| format!("cannot copy {}", certificate.display()))?;
        let mut words = place.command(Role::Candidate { workers: stage.workers });
        if let Some(identity) = &bench.identity {
            identity.own(directory)?;
            words.push("setpriv".into());
            words.extend(identity.setpriv());
        }
        words.extend_from_slice(wrap);
        words.push(binary.path.display().to_string());
        words.extend(binary.arguments(&configuration, directory, stage));
        let mut candidate = Process::start(&setup.name, command(&words), log)?;
        let port = place.listen().port();
        let limit = if stage.counted { STARTS_COUNTED } else { STARTS };
        bench.interrupt.wait_for("listening candidate", limit, || {
            candidate.alive()?;
            Ok(meter::listens(candidate.id(), port).then_some(()))
        })?;
        self.candidate = Some(candidate);
        self.reload = kind.reload().map(|signal| Reload {
            template: template.clone(),
            flavour: setup.flavour.clone(),
            binary: binary.clone(),
            signal,
            generation: 0,
        });
        Ok(())
    }

    /// Has the candidate reload a configuration that differs by a route.
    ///
    /// # Errors
    /// It takes no signal for that, or is gone; the configuration cannot be written.
    pub fn reload(&mut self) -> Outcome<()> {
        let bench = self.bench;
        let Self { candidate, stage, directory, place, reload, .. } = self;
        let (Some(candidate), Some(reload)) = (candidate, reload) else {
            return Err(Failure::new("there is nothing that takes a signal to reload"));
        };
        reload.generation += 1;
        let site = site(bench, place, stage, directory);
        let Reload { template, flavour, binary, signal, generation } = reload;
        configuration::write(template, flavour.as_deref(), binary, site, *generation)?;
        candidate.signal(*signal)
    }

    /// Starts the generator.
    ///
    /// # Errors
    /// It does not start.
    pub fn load(&self, arguments: &[(&str, String)]) -> Outcome<Process> {
        let target = match self.candidate {
            Some(_) => self.place.listen(),
            None => self.place.direct(),
        };
        let mut words = vec!["--to".into(), target.to_string()];
        words.extend(["--work".into(), word_of(self.stage.work)]);
        words.extend(self.stage.http.into_iter().flat_map(|h| ["--http".into(), h.to_word()]));
        words.extend(["--bytes".into(), self.stage.bytes.to_string()]);
        for (name, value) in arguments {
            words.extend([(*name).to_owned(), value.clone()]);
        }
        let command = self.bench.traffic(&self.place, Role::Generator, "load", words);
        let mut load = Process::talking("the generator", command, &self.log)?;
        load.line(&self.bench.interrupt)?;
        Ok(load)
    }

    /// Where the candidate's own files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// KiB that the kernel charges to the candidate's sockets; `None` on loopback, where they
    /// cannot be told from others, without a candidate, or without `ss`.
    #[must_use]
    pub fn charged(&self) -> Option<u64> {
        let candidate = self.candidate.as_ref().filter(|_| self.place.isolated())?;
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", candidate.id()))
            .args(["ss", "-tmnH"])
            .output()
            .ok()?;
        output.status.success().then(|| meter::charged(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Drop for Scene<'_> {
    /// What it has logged is large, and of no use any more; nor does the candidate have to drain.
    fn drop(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            candidate.end_at_once();
        }
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_file(&self.log);
    }
}

fn site<'a>(bench: &Bench, place: &'a Place, stage: &'a Stage, directory: &'a Path) -> Site<'a> {
    Site { place, stage, directory, descriptors: bench.descriptors }
}

fn word_of(work: Work) -> String {
    work.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl Bench {
    fn traffic(&self, place: &Place, role: Role, name: &str, arguments: Vec<String>) -> Command {
        let mut words = place.command(role);
        words.extend([self.program.display().to_string(), name.to_owned()]);
        words.extend(arguments);
        words.extend(["--limit".into(), FORGOTTEN.as_secs().to_string()]);
        command(&words)
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}
