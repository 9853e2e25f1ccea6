//! Finds the socket of the running program, asks, and reads the answer.

use super::Target;
use crate::admin::Outcome;
use crate::admin::peer::{group_name, user_name};
use crate::admin::protocol::{Answer, REPLY_MAX, VERSION};
use crate::admin::request::Request;
use eclusa_config::plan::Program;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer is waited for; a reload of a large file takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    pub(super) messages: Vec<String>,
    pub(super) data: serde_json::Value,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request cannot be sent.
    Request(String),
    /// The configuration file that was named cannot be read.
    Config(PathBuf, io::Error),
    /// The file says that there is no socket.
    Off(PathBuf),
    /// Nobody answers at any of these places.
    Nobody(Vec<PathBuf>),
    /// This user may not ask there.
    Forbidden(PathBuf),
    /// The conversation broke off.
    Broken(PathBuf, String),
}

/// Asks the running program.
pub(super) fn call(
    program: Program,
    target: &Target,
    request: &Request,
) -> Result<Answered, Trouble> {
    let (stream, line, path) = begin(program, target, request)?;
    let broken = |problem: String| Trouble::Broken(path.clone(), problem);
    let answer = exchange(stream, &line).map_err(|error| broken(told(&error)))?;
    understood(&answer).map_err(broken)
}

/// Asks for what goes on to be answered, and hands each answer to `each` until that has enough.
pub(super) fn follow(
    program: Program,
    target: &Target,
    request: &Request,
    mut each: impl FnMut(Answered) -> bool,
) -> Result<(), Trouble> {
    let (mut stream, line, path) = begin(program, target, request)?;
    let broken = |problem: String| Trouble::Broken(path.clone(), problem);
    send(&mut stream, &line).map_err(|error| broken(told(&error)))?;
    // Nothing may happen for days.
    stream.set_read_timeout(None).map_err(|error| broken(told(&error)))?;
    let mut stream = BufReader::new(stream);
    loop {
        let answer = read(&mut stream).map_err(|error| broken(told(&error)))?;
        if !each(understood(&answer).map_err(broken)?) {
            return Ok(());
        }
    }
}

fn begin(
    program: Program,
    target: &Target,
    request: &Request,
) -> Result<(UnixStream, Vec<u8>, PathBuf), Trouble> {
    request.check().map_err(Trouble::Request)?;
    let line = request.to_line(std::process::id().into()).map_err(Trouble::Request)?;
    let (stream, path) = connect(places(program, target)?)?;
    Ok((stream, line, path))
}

fn understood(answer: &[u8]) -> Result<Answered, String> {
    // The version first: what else a newer program says may not be understood.
    let value: serde_json::Value = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer is no JSON ({error})"))?;
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(VERSION) => {}
        other => {
            let spoken = other.map_or("another version".to_owned(), |v| format!("version {v}"));
            return Err(format!(
                "it speaks {spoken} of the protocol, this client version {VERSION}: use the client \
                 of the version that runs, or restart the service"
            ));
        }
    }
    let answer: Answer = serde_json::from_value(value)
        .map_err(|error| format!("the answer is not understood ({error})"))?;
    debug_assert_eq!(answer.v, VERSION);
    Ok(Answered { outcome: answer.outcome, messages: answer.messages, data: answer.data })
}

/// Where the socket may be, the likeliest first.
fn places(program: Program, target: &Target) -> Result<Vec<PathBuf>, Trouble> {
    if let Some(socket) = &target.socket {
        return Ok(vec![socket.clone()]);
    }
    let name = format!("{}.sock", program.short_name());
    let file = target.config.clone().unwrap_or_else(|| program.default_file().into());
    match eclusa_config::admin_of(program, &file) {
        Ok((None, _)) => return Err(Trouble::Off(file)),
        Ok((Some(admin), run_directory)) => {
            let socket = admin.socket.or_else(|| Some(run_directory?.join(&name)));
            if let Some(socket) = socket {
                return Ok(vec![socket]);
            }
        }
        Err(error) if target.config.is_some() => return Err(Trouble::Config(file, error)),
        // Not everybody who may ask may read it.
        Err(_) => {}
    }
    Ok(usual_places(&name))
}

/// In the run directories that a program takes where none is configured, in its order.
fn usual_places(name: &str) -> Vec<PathBuf> {
    let of_environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let own = rustix::process::getuid().as_raw();
    let temporary = std::env::temp_dir().join(format!("eclusa-{own}"));
    // There anybody could make a directory of that name.
    let is_own = fs::symlink_metadata(&temporary).is_ok_and(|found| found.uid() == own);
    let directories = [
        of_environment("RUNTIME_DIRECTORY"),
        Some(PathBuf::from("/run/eclusa")),
        of_environment("XDG_RUNTIME_DIR").map(|path| path.join("eclusa")),
        is_own.then_some(temporary),
    ];
    let mut places: Vec<PathBuf> = Vec::new();
    for directory in directories.into_iter().flatten() {
        let place = directory.join(name);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn connect(places: Vec<PathBuf>) -> Result<(UnixStream, PathBuf), Trouble> {
    for path in &places {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok((stream, path.clone())),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Trouble::Forbidden(path.clone()));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(Trouble::Broken(path.clone(), error.to_string())),
        }
    }
    Err(Trouble::Nobody(places))
}

fn exchange(mut stream: UnixStream, line: &[u8]) -> io::Result<Vec<u8>> {
    send(&mut stream, line)?;
    read(&mut BufReader::new(stream))
}

fn send(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Whoever is turned away is told so, and the socket closed before the request is read.
    match stream.write_all(line) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn read(stream: &mut BufReader<UnixStream>) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    // A little more than a program sends.
    let most = REPLY_MAX as u64 + 1024;
    let read = stream.take(most).read_until(b'\n', &mut answer);
    if answer.last() == Some(&b'\n') {
        return Ok(answer);
    }
    read?;
    Err(match answer.is_empty() {
        true => io::Error::other("it closed the connection without an answer"),
        false => io::Error::other("it closed the connection within its answer"),
    })
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    }
}

impl Trouble {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Request(_) | Self::Config(..) => Outcome::Wrong.code(),
            _ => Outcome::Failed.code(),
        }
    }

    /// What to tell, in lines.
    pub(super) fn message(&self, program: Program) -> String {
        let name = program.name();
        match self {
            Self::Request(problem) => format!("{problem}\n"),
            Self::Config(file, error) => format!("{}: {error}\n", file.display()),
            Self::Off(file) => format!(
                "{name}: {} says `admin = false`: there is no admin socket; SIGHUP reloads\n",
                file.display()
            ),
            Self::Nobody(places) => nobody(program, places),
            Self::Forbidden(path) => forbidden(program, path),
            Self::Broken(path, problem) => format!("{name}: {}: {problem}\n", path.display()),
        }
    }
}

fn nobody(program: Program, places: &[PathBuf]) -> String {
    let name = program.name();
    let mut text = format!("{name} does not answer:\n");
    for place in places {
        let what = if place.exists() { "nobody listens" } else { "no socket" };
        let _ = writeln!(text, "  {what} at {}", place.display());
    }
    let _ = writeln!(
        text,
        "Does it run (systemctl status {name})? Is its socket elsewhere (-c FILE, --socket PATH)?"
    );
    text
}

fn forbidden(program: Program, path: &Path) -> String {
    let own = rustix::process::getuid().as_raw();
    let own = user_name(own).unwrap_or_else(|| own.to_string());
    let mut text = format!("{}: user {own} may not use {}", program.name(), path.display());
    if let Ok(found) = fs::metadata(path) {
        let user = user_name(found.uid()).unwrap_or_else(|| found.uid().to_string());
        let group = group_name(found.gid()).unwrap_or_else(|| found.gid().to_string());
        let mode = found.mode() & 0o777;
        let _ = write!(text, ", which is {user}'s, group {group}, mode {mode:04o}");
    }
    text.push_str("\nAsk as root or as a member of that group.\n");
    text
}
