//! Counting instead of measuring: what a candidate's worker executes and asks of the kernel, which is
//! the same on a busy machine and on a quiet one.
//!
//! Instructions come from callgrind (a virtual machine has no counters of its own as a rule), system
//! calls from strace, which `.ci/run` has anyway.

use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::process::{ANSWER, Process};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the names of threads that carry traffic begin with.
const WORKER: &str = "worker-";

/// The name of callgrind's files.
const OUT: &str = "callgrind.out";

/// Where valgrind and its tools meet: not in a place of all users, where what is ended at once leaves its pipes.
fn meeting(directory: &Path) -> String {
    format!("--vgdb-prefix={}", directory.join("vgdb").display())
}

/// What is put before a command whose instructions are to be counted; files go to `directory`.
#[must_use]
pub fn callgrind(directory: &Path) -> Vec<String> {
    let out = directory.join(OUT).display().to_string();
    vec![
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        "--separate-threads=yes".into(),
        // From the first question on: starting is of no interest, and slow enough.
        "--instr-atstart=no".into(),
        format!("--callgrind-out-file={out}"),
        meeting(directory),
    ]
}

/// Instructions of a process that runs below [`callgrind`].
pub struct Instructions {
    process: u32,
    directory: PathBuf,
}

impl Instructions {
    /// Begins to count.
    ///
    /// # Errors
    /// The process does not answer valgrind's own tools.
    pub fn of(process: u32, directory: &Path) -> Outcome<Self> {
        let counter = Self { process, directory: directory.to_owned() };
        counter.tell(&["instrumentation", "on"])?;
        Ok(counter)
    }

    /// From zero again.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn zero(&self) -> Outcome<()> {
        self.tell(&["zero"])
    }

    /// The busiest thread, and what it has executed since.
    ///
    /// # Errors
    /// As [`Self::of`], or there is nothing to read.
    pub fn read(&self) -> Outcome<(String, u64)> {
        let most = self.threads()?.into_iter().max_by_key(|(_, count)| *count);
        let most = most.filter(|(_, count)| *count > 0);
        most.ok_or_else(|| Failure::new("callgrind has counted nothing"))
    }

    /// What this thread has executed since.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn read_of(&self, thread: &str) -> Outcome<u64> {
        let found = self.threads()?.into_iter().find(|(name, _)| name == thread);
        Ok(found.map_or(0, |(_, count)| count))
    }

    /// Threads, by the end of their files' names, and what each has executed.
    fn threads(&self) -> Outcome<Vec<(String, u64)>> {
        self.remove()?;
        self.tell(&["dump"])?;
        let counts = self.files()?.into_iter().map(|file| {
            let text = fs::read_to_string(&file).context(|| file.display().to_string())?;
            let name = file.to_string_lossy();
            let thread = name.rsplit('-').next().unwrap_or_default().to_owned();
            Ok((thread, total(&text).unwrap_or(0)))
        });
        counts.collect()
    }

    fn tell(&self, words: &[&str]) -> Outcome<()> {
        let mut command = Command::new("vgdb");
        command.arg(meeting(&self.directory)).arg(format!("--pid={}", self.process)).args(words);
        let output = command.output().context(|| "cannot run vgdb".into())?;
        if output.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Failure::new(format!("vgdb {}: {}: {told}", words.join(" "), output.status)))
    }

    fn files(&self) -> Outcome<Vec<PathBuf>> {
        let cannot = || format!("cannot list {}", self.directory.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).context(cannot)? {
            let path = entry.context(cannot)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(OUT) {
                files.push(path);
            }
        }
        Ok(files)
    }

    fn remove(&self) -> Outcome<()> {
        for file in self.files()? {
            fs::remove_file(&file).context(|| file.display().to_string())?;
        }
        Ok(())
    }
}

/// The sum of a file of callgrind's.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The threads of a process that carry traffic, once as many as are wanted are there.
///
/// # Errors
/// There are not as many, or the process is gone.
pub fn workers(process: u32, wanted: usize, interrupt: &Interrupt) -> Outcome<Vec<u32>> {
    let tasks = format!("/proc/{process}/task");
    interrupt.wait_for("workers of the candidate", ANSWER, || {
        let threads = fs::read_dir(&tasks).context(|| format!("cannot list {tasks}"))?.flatten();
        let is_worker = |thread: &fs::DirEntry| {
            let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            name.starts_with(WORKER)
        };
        let ids = threads.filter(is_worker).filter_map(|t| t.file_name().to_str()?.parse().ok());
        let workers: Vec<u32> = ids.collect();
        Ok((workers.len() >= wanted).then_some(workers))
    })
}

/// System calls of threads, from now on.
pub struct SystemCalls {
    strace: Process,
    table: PathBuf,
}

impl SystemCalls {
    /// Begins to count.
    ///
    /// # Errors
    /// strace is not there, or may not follow these threads.
    pub fn of(threads: &[u32], directory: &Path, interrupt: &Interrupt) -> Outcome<Self> {
        let table = directory.join("strace.table");
        let mut command = Command::new("strace");
        command.args(["-c", "-q", "-o"]).arg(&table);
        for thread in threads {
            command.args(["-p", &thread.to_string()]);
        }
        let mut strace = Process::start("strace", command, &directory.join("strace.log"))?;
        interrupt.wait_for("strace", ANSWER, || {
            strace.alive()?;
            Ok(threads.iter().all(|thread| is_traced(*thread)).then_some(()))
        })?;
        Ok(Self { strace, table })
    }

    /// How many there were; an error if none.
    ///
    /// # Errors
    /// strace leaves no table.
    pub fn read(mut self, interrupt: &Interrupt) -> Outcome<u64> {
        self.strace.signal(Signal::INT)?;
        interrupt
            .wait_for("end of strace", ANSWER, || Ok(self.strace.alive().is_err().then_some(())))?;
        let cannot = || format!("cannot read {}", self.table.display());
        let text = fs::read_to_string(&self.table).context(cannot)?;
        calls(&text).ok_or_else(|| Failure::new(format!("strace has counted nothing: {text}")))
    }
}

fn is_traced(thread: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|tracer| tracer.trim() != "0")
}

/// The sum of strace's table.
fn calls(table: &str) -> Option<u64> {
    let line = table.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    // Percent, seconds, and, where there is any, microseconds per call.
    let numbers: Vec<_> = line.split_ascii_whitespace().collect();
    let at = if table.contains("usecs/call") { 3 } else { 2 };
    numbers.get(at)?.parse().ok()
}

/// How long what is counted may take: it is slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_both_tools_are_found() {
        let file = "version: 1\nevents: Ir\nsummary: 7\n\nfn=(1) main\n0 7\n\ntotals: 123456\n";
        assert_eq!((total(file), total("events: Ir\n")), (Some(123_456), None));
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     \u{20}60.00    0.000100           1       101           recvfrom\n\
                     \u{20}40.00    0.000050           1        99         2 epoll_wait\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.000150           0       200         2 total\n";
        assert_eq!((calls(table), calls("")), (Some(200), None));
    }

    #[test]
    fn workers_are_found_by_their_names() {
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let work = move || ends.recv();
        let worker = std::thread::Builder::new().name("worker-0".into()).spawn(work);
        let interrupt = Interrupt::new().expect("signals");
        let found = workers(std::process::id(), 1, &interrupt).expect("there is one");
        assert_eq!(found.len(), 1);
        drop(end);
        assert!(worker.expect("a thread").join().is_ok());
        assert!(workers(u32::MAX, 1, &interrupt).is_err(), "nobody has this number");
    }
}
