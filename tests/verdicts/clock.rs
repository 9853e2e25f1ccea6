//! A wall clock for one program, which can be stepped while it runs (libfaketime); its monotonic
//! clock, and everybody else's clocks, are left alone.

use eclusa_testkit::process::{Runner, Scratch};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Debian's multiarch directories have it below one for each architecture.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Where it leaves something of every process that is killed, and what that is called.
const SHARED: &str = "/dev/shm";
const LEFT: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];

/// After a step, until the program has seen it: the library looks at its file every second.
pub const SEEN: Duration = Duration::from_secs(2);

/// Its time is that of the machine and an offset; gone when dropped.
#[derive(Debug)]
pub struct Clock(Scratch);

impl Clock {
    /// One that is right.
    ///
    /// # Panics
    /// There is no directory for it.
    #[track_caller]
    pub fn new() -> Self {
        let clock = Self(Scratch::new("clock").unwrap());
        clock.step(0);
        clock
    }

    /// Sets it to so many seconds after the machine's time.
    ///
    /// # Panics
    /// Its file cannot be written.
    #[track_caller]
    pub fn step(&self, seconds: u32) {
        // In one go: the library would take half a file for a whole one.
        let written = self.0.write("next", &format!("+{seconds}s\n")).unwrap();
        std::fs::rename(written, self.file()).unwrap();
    }

    /// Gives it to a program.
    ///
    /// # Panics
    /// The library is not installed.
    #[track_caller]
    pub fn give(&self, runner: Runner) -> Runner {
        let library = library().expect("libfaketimeMT.so.1: apt-get install faketime");
        runner
            .preload(library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let is_left = |name: &str| {
            let pid = LEFT.iter().find_map(|prefix| name.strip_prefix(prefix));
            pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        };
        for entry in std::fs::read_dir(SHARED).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_left) {
                // Another one may be at it as well.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn library() -> Option<PathBuf> {
    let directories = std::fs::read_dir(LIBRARIES).ok()?.flatten();
    directories.map(|it| it.path().join(LIBRARY)).find(|path| path.is_file())
}
