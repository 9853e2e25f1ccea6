//! What must not stay behind: a directory, and programs that were started.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A directory for one comparison, which nobody else may read; gone when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("eclusa-compare-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process that had our id and was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1_000 => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path(name);
        fs::write(&path, text)
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is a few files that only root and the caller can read.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that was started; ended by its id when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    errors: PathBuf,
}

impl Running {
    /// Starts it; what it says goes to a file.
    pub(crate) fn start(command: &Command, errors: &Path) -> io::Result<Self> {
        let file = fs::File::create(errors)?;
        let mut command = bound_to_us(command);
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, errors: errors.to_owned() })
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; whether it ended well.
    ///
    /// # Errors
    /// It has not ended, and why nobody waits any longer. It is killed then.
    pub(crate) fn wait(&mut self, within: Duration, bound: &Bound) -> Result<bool, String> {
        let mut ended = None;
        bound.wait(within, || {
            ended = self.child.try_wait().transpose();
            ended.is_some()
        });
        let why = match ended {
            // Ctrl-C ends it, too.
            Some(Ok(status)) if status.code().is_some() && !bound.is_interrupted() => {
                return Ok(status.success());
            }
            _ if bound.is_interrupted() => INTERRUPTED.to_owned(),
            Some(Ok(status)) => format!("it ended by {status}"),
            Some(Err(error)) => format!("nobody can tell whether it ended: {error}"),
            None => format!("it has not ended within {} seconds", within.as_secs()),
        };
        let _ = self.child.kill();
        Err(why)
    }

    /// The last of what it said.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.errors).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// The same by way of `setpriv` (util-linux): the kernel kills it when the thread that started it ends, even
/// if that is killed itself. Where there is no such `setpriv`, whoever kills this process kills its children.
fn bound_to_us(command: &Command) -> Command {
    static HAS: OnceLock<bool> = OnceLock::new();
    let flag = "--pdeathsig=KILL";
    let has = *HAS.get_or_init(|| {
        let mut tried = Command::new("setpriv");
        tried.args([flag, "--", "true"]).stdin(Stdio::null()).stdout(Stdio::null());
        tried.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    let mut now = if has {
        let mut now = Command::new("setpriv");
        now.args([flag, "--"]).arg(command.get_program());
        now
    } else {
        Command::new(command.get_program())
    };
    now.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => now.env(name, value),
            None => now.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        now.current_dir(directory);
    }
    now
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why something ends that has not found anything.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// How long a comparison may go on: until its deadline, or until somebody interrupts it.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    interrupted: Arc<AtomicBool>,
    until: Instant,
}

impl Bound {
    /// From now on signals that would end the process end the comparison, so that nothing stays.
    pub(crate) fn new(time: Duration) -> io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [1, 2, 15] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self { interrupted, until: Instant::now() + time })
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_interrupted() || Instant::now() >= self.until
    }

    /// Waits until something holds, at most so long; whether it does.
    pub(crate) fn wait(&self, within: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let until = self.until.min(Instant::now() + within);
        loop {
            if holds() {
                return true;
            }
            if self.is_interrupted() || Instant::now() >= until {
                return false;
            }
            pause(Duration::from_millis(20));
        }
    }
}

/// A moment, between two looks at something that has no way to tell.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// The test that is killed, in a process of its own.
    const KILLED: &str = "scratch::tests::somebody_who_is_killed";

    fn running(scratch: &Scratch, program: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(arguments);
        Running::start(&command, &scratch.path("said")).unwrap()
    }

    #[test]
    fn an_end_and_a_wait_that_ends_are_told_apart() {
        let scratch = Scratch::new().unwrap();
        let bound = Bound::new(Duration::from_secs(30)).unwrap();
        let of = |program: &str, arguments: &[&str], within: u64| {
            running(&scratch, program, arguments).wait(Duration::from_millis(within), &bound)
        };
        assert_eq!(of("true", &[], 10_000), Ok(true));
        assert_eq!(of("false", &[], 10_000), Ok(false));
        let late = of("sleep", &["60"], 50).unwrap_err();
        assert!(late.contains("has not ended within"), "{late}");
        let killed = of("sh", &["-c", "kill -9 $$"], 10_000).unwrap_err();
        assert!(killed.contains("signal: 9"), "{killed}");
        bound.interrupted.store(true, Ordering::Relaxed);
        assert_eq!(of("sleep", &["60"], 10_000), Err(INTERRUPTED.to_owned()));
        assert_eq!(of("false", &[], 10_000), Err(INTERRUPTED.to_owned()));
    }

    #[test]
    fn children_do_not_outlive_a_command_that_is_killed() {
        // What it leaves behind goes with this.
        let scratch = Scratch::new().unwrap();
        let mut killed = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", KILLED, "--ignored", "--nocapture"])
            .env("TMPDIR", scratch.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = io::BufReader::new(killed.stdout.take().unwrap());
        let mut lines = io::BufRead::lines(out).map(Result::unwrap);
        let child = lines.find_map(|line| Some(line.split_once("child=")?.1.to_owned())).unwrap();
        let cmdline = PathBuf::from(format!("/proc/{child}/cmdline"));
        let lives = || fs::read(&cmdline).is_ok_and(|text| text.starts_with(b"sleep"));
        let within = |holds: &dyn Fn() -> bool| {
            let until = Instant::now() + Duration::from_secs(10);
            while !holds() && Instant::now() < until {
                thread::park_timeout(Duration::from_millis(10));
            }
            holds()
        };
        assert!(within(&lives), "it was started");
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(within(&|| !lives()), "it ends, too");
    }

    #[test]
    #[ignore = "a part of the test before, which kills it"]
    fn somebody_who_is_killed() {
        let scratch = Scratch::new().unwrap();
        let running = running(&scratch, "sleep", &["100"]);
        println!("child={}", running.child.id());
        thread::park_timeout(Duration::from_secs(100));
    }
}
