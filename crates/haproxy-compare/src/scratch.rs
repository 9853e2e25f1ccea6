//! What must not stay behind: a directory, and programs that were started.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    pub(crate) fn start(mut command: Command, errors: &Path) -> io::Result<Self> {
        let file = fs::File::create(errors)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, errors: errors.to_owned() })
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; whether it ended well. It is killed after `within`.
    pub(crate) fn wait(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => pause(Duration::from_millis(10)),
                Err(_) => return false,
            }
        }
        let _ = self.child.kill();
        false
    }

    /// The last of what it said.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.errors).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
