//! Running commands as steps: output passed on and read, time limited, children ended, all counted.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How often a wait looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// How long what was asked to end has for it.
const GRACE: Duration = Duration::from_secs(10);

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ran and held.
    pub passed: u64,
    /// Ran and did not hold, or could not be built or run.
    pub failed: u64,
    /// Did not run.
    pub skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What became of a command.
#[derive(Debug)]
pub struct Ran {
    /// All lines of both outputs, as they came.
    pub lines: Vec<String>,
    /// Wall time.
    pub took: Duration,
    /// Why it did not succeed.
    pub trouble: Option<String>,
}

#[cfg(test)]
impl Ran {
    /// One that is over, at once.
    pub fn of(lines: &[&str], trouble: Option<&str>) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { lines, took: Duration::ZERO, trouble: trouble.map(ToOwned::to_owned) }
    }
}

impl Ran {
    /// What the closing lines of Rust's test runner say; see [`count`].
    pub fn tally(&self) -> Tally {
        count(self.lines.iter().map(String::as_str))
    }
}

/// The `cargo` that runs this program.
pub fn cargo() -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
}

/// A program that runs at the root of the repository.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(crate::tree::root());
    command
}

/// Where cargo puts what it builds.
pub fn target_directory() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    crate::tree::root().join(folder)
}

/// Builds both programs as they ship, alone: what else is built with them changes their features.
pub fn programs(profile: &str) -> Command {
    let mut command = cargo();
    command.args(["build", "--profile", profile, "--locked"]);
    command.args(crate::deny::DAEMONS.iter().flat_map(|program| ["-p", *program]));
    command
}

/// Where they then are.
pub fn built(profile: &str, program: &str) -> PathBuf {
    target_directory().join(profile).join(program)
}

/// What a command says on its standard output, without the blanks around it.
///
/// # Errors
/// It does not run, or ends badly.
pub fn said(command: &mut Command) -> crate::Outcome<String> {
    let words = typed(command);
    let output = command.output().map_err(|error| format!("{words}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{words}: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What rustc calls this kind of machine.
///
/// # Errors
/// There is no rustc.
pub fn host() -> crate::Outcome<String> {
    said(Command::new("rustc").args(["--print", "host-tuple"]))
}

/// The command as one would type it, without its variables.
pub fn typed(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let quote = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy().into_owned();
        if word.contains(' ') { format!("'{word}'") } else { word }
    };
    std::iter::once(program).chain(command.get_args().map(quote)).collect::<Vec<_>>().join(" ")
}

/// Runs `command`; what it writes goes to where it would have gone. After `limit`, and when a
/// signal asks this program to end, the command and its descendants are ended.
pub fn run(command: &mut Command, limit: Duration) -> Ran {
    run_with(command, limit, |line| match line {
        Line::Out(line) => println!("{line}"),
        Line::Err(line) => eprintln!("{line}"),
    })
}

/// The same for a command that talks too much: what it wrote is shown when it fails.
pub fn run_quietly(command: &mut Command, limit: Duration) -> Ran {
    let ran = run_with(command, limit, |_| {});
    if ran.trouble.is_some() {
        ran.lines.iter().for_each(|line| eprintln!("{line}"));
    }
    ran
}

fn run_with(command: &mut Command, limit: Duration, show: fn(&Line)) -> Ran {
    let began = Instant::now();
    eprintln!("$ {}", typed(command));
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut ran = Ran { lines: Vec::new(), took: Duration::ZERO, trouble: None };
    ran.trouble = match command.spawn() {
        Ok(child) => follow(child, limit, &mut ran.lines, show),
        Err(error) => Some(format!("cannot run {}: {error}", typed(command))),
    };
    ran.took = began.elapsed();
    ran
}

/// One line of output.
enum Line {
    Out(String),
    Err(String),
}

/// Passes the output on until the child has ended; says what went wrong.
fn follow(
    mut child: Child,
    limit: Duration,
    lines: &mut Vec<String>,
    show: fn(&Line),
) -> Option<String> {
    let (sender, receiver) = sync_channel(1024);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    out.into_iter().for_each(|out| pass_on(out, sender.clone(), Line::Out));
    err.into_iter().for_each(|err| pass_on(err, sender.clone(), Line::Err));
    drop(sender);
    let mut end = End { began: Instant::now(), limit, asked: None, exited: None };
    loop {
        let disconnected = match receiver.recv_timeout(LOOK) {
            Ok(line) => {
                show(&line);
                let (Line::Out(text) | Line::Err(text)) = line;
                lines.push(text);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                // Both outputs are closed; what is left is the end of the process.
                thread::park_timeout(LOOK / 10);
                true
            }
        };
        if let Some(answer) = end.look(&mut child, disconnected) {
            return answer;
        }
    }
}

/// Sends the lines of a pipe to the thread that prints them.
fn pass_on(pipe: impl Read + Send + 'static, sender: SyncSender<Line>, line: fn(String) -> Line) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
            bytes.clear();
            if sender.send(line(text)).is_err() {
                return;
            }
        }
    });
}

/// The way to a command's end.
struct End {
    began: Instant,
    limit: Duration,
    /// When it was asked to end, and why.
    asked: Option<(Instant, String)>,
    exited: Option<(Instant, ExitStatus)>,
}

impl End {
    /// `None`: go on. `Some(None)`: it succeeded.
    fn look(&mut self, child: &mut Child, outputs_closed: bool) -> Option<Option<String>> {
        let now = Instant::now();
        if self.exited.is_none() {
            match child.try_wait() {
                Ok(status) => self.exited = status.map(|status| (now, status)),
                Err(error) => return Some(Some(format!("cannot wait for it: {error}"))),
            }
        }
        if let Some((at, status)) = self.exited {
            if outputs_closed {
                return Some(self.verdict(status));
            }
            if now - at > GRACE {
                end_group(child, Signal::KILL);
                return Some(Some(
                    "it ended and left processes behind that hold its output".into(),
                ));
            }
            return None;
        }
        match &self.asked {
            Some((at, _)) if now - *at > GRACE => end_group(child, Signal::KILL),
            Some(_) => {}
            None => {
                let why = if interrupted() {
                    "stopped by a signal".to_owned()
                } else if now - self.began > self.limit {
                    format!("took longer than {} s and was ended", self.limit.as_secs())
                } else {
                    return None;
                };
                end_group(child, Signal::TERM);
                self.asked = Some((now, why));
            }
        }
        None
    }

    fn verdict(&self, status: ExitStatus) -> Option<String> {
        if let Some((_, why)) = &self.asked {
            return Some(why.clone());
        }
        (!status.success()).then(|| format!("ended with {status}"))
    }
}

fn end_group(child: &Child, signal: Signal) {
    // An error means that nobody is left to end.
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, signal);
    }
}

/// Whether SIGINT or SIGTERM came. Commands run in groups of their own, so that all of their
/// descendants can be ended; hence the terminal's Ctrl-C reaches only this program.
pub fn interrupted() -> bool {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&flag)) {
                eprintln!("xtask: signal {signal} will not be passed on: {error}");
            }
        }
        flag
    });
    flag.load(Ordering::Relaxed)
}

/// Adds up what Rust's test runner says at the end of each program (`test result: ok. 3 passed;
/// ...`). A test that must be left out says `SKIPPED: reason` on a line of its own, and the runner
/// takes it for passed; here it is skipped. One that is ignored because another test runs it as a
/// part of itself is not a test of its own.
pub fn count<'a>(lines: impl Iterator<Item = &'a str>) -> Tally {
    let mut tally = Tally::default();
    let (mut skipped, mut parts) = (0, 0);
    for line in lines {
        if let Some((_, numbers)) = line.split_once("test result: ") {
            let number = |word: &str| {
                let mut parts = numbers.split([';', '.']).map(str::trim);
                let part = parts.find_map(|part| part.strip_suffix(word));
                part.and_then(|part| part.trim().parse::<u64>().ok()).unwrap_or(0)
            };
            tally.passed += number("passed");
            tally.failed += number("failed");
            tally.skipped += number("ignored");
        } else if line.contains(" ... ignored, a part of ") {
            parts += 1;
        } else if line.trim_start().starts_with("SKIPPED: ") {
            skipped += 1;
        }
    }
    tally.passed = tally.passed.saturating_sub(skipped);
    tally.skipped = tally.skipped.saturating_sub(parts) + skipped;
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn closing_lines_are_added_up() {
        let lines = [
            "running 5 tests",
            "test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s",
            "SKIPPED: a_test: needs root",
            "test a_part ... ignored, a part of the next one",
            "test another ... ignored, slow",
            "test a_test ... ok",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ];
        let tally = count(lines.into_iter());
        assert_eq!(tally, Tally { passed: 5, failed: 2, skipped: 2 });
        assert_eq!(tally.to_string(), "5 passed, 2 failed, 2 skipped");
        assert_eq!(count(["nothing"].into_iter()), Tally::default());
    }

    #[test]
    fn output_and_success_are_seen() {
        let ran = run(&mut shell("echo one; echo two >&2"), LONG);
        assert_eq!(ran.trouble, None);
        let mut lines = ran.lines;
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn failure_is_told() {
        let ran = run(&mut shell("exit 3"), LONG);
        assert_eq!(ran.trouble.as_deref(), Some("ended with exit status: 3"));
        let ran = run(&mut Command::new("/no/such/program"), LONG);
        assert!(ran.trouble.is_some_and(|trouble| trouble.starts_with("cannot run program")));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let ran = run(&mut shell("sleep 600 & echo $!; wait"), Duration::from_millis(300));
        assert!(ran.trouble.is_some_and(|trouble| trouble.contains("took longer than")));
        // Its outputs were closed, so the sleeping child, which had them too, is gone.
        assert!(ran.took < LONG, "{:?}", ran.took);
    }

    #[test]
    fn commands_are_told_as_typed() {
        let mut command = Command::new("/usr/bin/printf");
        command.args(["a", "b c"]);
        assert_eq!(typed(&command), "printf a 'b c'");
    }
}
