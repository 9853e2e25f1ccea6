//! `support-bundle`: what somebody needs who helps from afar, in one file, without secrets.
//!
//! A plain tar: compression would be a crate of its own in a program that carries traffic, for a file that is
//! made once a year and that `gzip` or `xz` beside it make as small.

mod parts;
mod scrub;
mod tar;

use crate::admin::Moment;
use crate::admin::client::{self, Target};
use crate::command::file_of;
use crate::doctor::{self, Doctor};
use crate::layer7::Layer;
use clap::Args;
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Mode, redact};
use parts::Part;
use scrub::Scrubber;
use serde::Serialize;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;
use tar::Tar;

/// For the end of its help.
pub const HELP: &str = "\
What is in it: the configuration without comments and texts that could be secret, status, the last 1000
events, orders, sessions, metrics, what `doctor` finds, settings of the kernel, sockets, unit, versions.
manifest.json lists it, and what could not be had. Addresses and names of clients are in it: look before
you send it.

Exit codes:
  0  written
  1  could not be written
  2  the command line is wrong

To look, and to make it smaller:
  tar -xOf BUNDLE --wildcards '*/manifest.json'
  xz BUNDLE";

/// Sessions that are listed.
const SESSIONS: u32 = 1_000;
/// Kinds of events that tell of orders and of what is in force.
const AUDIT: [&str; 6] =
    ["admin", "reloaded", "reload_refused", "gone_back", "rollback_failed", "order_ended"];

/// `support-bundle ...`
#[derive(Args, Clone, Debug, Default)]
pub struct SupportBundle {
    /// The configuration file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket; without it where the configuration or the run directory has it
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where it is written; it must not be there yet. Without it a name with the time, here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let `doctor` ask no endpoint
    #[arg(long)]
    offline: bool,
}

/// A member of the archive, as the manifest tells of it.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    /// What it is.
    what: &'static str,
    /// Its length; `None`: it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// Why it is not there, or not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// What stands in the manifest.
#[derive(Debug, Serialize)]
struct Manifest {
    program: &'static str,
    version: &'static str,
    at: Moment,
    redaction: &'static str,
    members: Vec<Listed>,
}

const REDACTION: &str = "texts of the configuration that could be secret are <redacted-N>, the same text \
                         with the same number in all files; <redacted-file> is from a file of keys, tokens or \
                         passwords; <redacted> looked like a secret; comments are left out";

/// Gathers and writes.
#[must_use]
pub fn run(program: Program, wanted: &SupportBundle, layer: Option<Arc<dyn Layer>>) -> ExitCode {
    let now = SystemTime::now();
    let stamp: String =
        Moment::from(now).to_string().chars().filter(|c| !"-:".contains(*c)).collect();
    let name = format!("{}-support-{stamp}", program.name());
    let output = wanted.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar")));
    let (bytes, missing) = archive(program, wanted, layer.as_deref(), (&name, now));
    if let Err(error) = write(&output, &bytes) {
        eprintln!("{}: {}: {error}", program.name(), output.display());
        return ExitCode::FAILURE;
    }
    for line in missing {
        eprintln!("not in it: {line}");
    }
    let text = format!(
        "{}: {} KiB; look at it before you send it: addresses and names of clients are in it\n",
        output.display(),
        bytes.len().div_ceil(1024)
    );
    // As with `check`: a reader that has gone away is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// A new file that its owner alone may read.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The archive, and what is not in it.
fn archive(
    program: Program,
    wanted: &SupportBundle,
    layer: Option<&dyn Layer>,
    (name, now): (&str, SystemTime),
) -> (Vec<u8>, Vec<String>) {
    let parts = gather(program, wanted, layer);
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let listed = |part: &Part| Listed {
        name: part.name,
        what: part.what,
        bytes: part.content.as_ref().ok().map(String::len),
        missing: part.content.as_ref().err().cloned(),
    };
    let manifest = Manifest {
        program: program.name(),
        version: env!("CARGO_PKG_VERSION"),
        at: Moment::from(now),
        redaction: REDACTION,
        members: parts.iter().map(listed).collect(),
    };
    let mut tar = Tar::default();
    let manifest = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    tar.add(&format!("{name}/manifest.json"), manifest.as_bytes(), seconds);
    let mut missing = Vec::new();
    for part in &parts {
        match &part.content {
            Ok(text) => tar.add(&format!("{name}/{}", part.name), text.as_bytes(), seconds),
            Err(why) => missing.push(format!("{}: {why}", part.name)),
        }
    }
    (tar.into_bytes(), missing)
}

/// All parts, scrubbed.
fn gather(program: Program, wanted: &SupportBundle, layer: Option<&dyn Layer>) -> Vec<Part> {
    let file = file_of(program, wanted.config.as_deref());
    let target = Target::new(wanted.config.clone(), wanted.socket.clone());
    let plan = eclusa_config::load(program, file, Mode::Known).ok().map(|loaded| loaded.plan);
    let (configuration, left_out) = configuration(program, file);
    let secrets = plan.as_ref().map(secret_texts).unwrap_or_default();
    let scrubber = Scrubber::new(&left_out, &secrets);
    let status = client::status(program, &target);
    let pid = status.as_ref().ok().map(|status| status.pid);
    let status = status.and_then(|it| serde_json::to_value(it).map_err(|error| error.to_string()));
    let events = client::events_of(program, &target);
    let audit = events.clone().map(audit);
    let examined = doctor::examine(program, &doctor_of(wanted), layer);
    let examined =
        examined.and_then(|it| serde_json::to_value(it).map_err(|error| error.to_string()));
    let sessions = client::sessions_of(program, &target, SESSIONS);
    let json = |value: Result<Value, String>| {
        let text =
            |value| serde_json::to_string_pretty(&scrubber.json(value)).unwrap_or_default() + "\n";
        value.map(text)
    };
    let mut all = vec![
        Part::new("configuration.toml", "the configuration, redacted", configuration),
        Part::new("status.json", "status --json", json(status)),
        Part::new("events.json", "the last 1000 events", json(events)),
        Part::new("audit.json", "of these: who ordered what, and what is in force", json(audit)),
        Part::new("sessions.json", "the 1000 sessions that carried most", json(sessions)),
        Part::new("doctor.json", "doctor --json", json(examined)),
    ];
    all.extend(parts::of_host(program, plan.as_ref(), pid));
    for part in &mut all {
        // What comes from the host may quote anything.
        part.content = match std::mem::replace(&mut part.content, Ok(String::new())) {
            Ok(text) => Ok(if part.is_json() { text } else { scrubber.text(&text) }),
            Err(why) => Err(scrubber.text(&why)),
        };
    }
    all
}

fn doctor_of(wanted: &SupportBundle) -> Doctor {
    let (config, socket) = (wanted.config.clone(), wanted.socket.clone());
    Doctor { config, socket, offline: wanted.offline, ..Doctor::default() }
}

/// The redacted text, and what was left out of it.
fn configuration(program: Program, file: &Path) -> (Result<String, String>, Vec<String>) {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return (Err(format!("{}: {error}", file.display())), Vec::new()),
    };
    match redact::redact(program, &text) {
        Some(redacted) => (Ok(redacted.text), redacted.left_out),
        None => {
            let why = format!(
                "{} is no TOML, so nobody can tell what is secret in it: correct it first ({} check)",
                file.display(),
                program.name()
            );
            (Err(why), Vec::new())
        }
    }
}

/// What stands in files that hold secrets.
fn secret_texts(plan: &Plan) -> Vec<Vec<u8>> {
    let files = doctor::secret_files(plan).into_iter();
    files.filter_map(|path| std::fs::read(path).ok()).collect()
}

/// The events that tell of orders.
fn audit(mut table: Value) -> Value {
    if let Some(events) = table.get_mut("events").and_then(Value::as_array_mut) {
        events.retain(|event| event["event"].as_str().is_some_and(|kind| AUDIT.contains(&kind)));
    }
    table
}
