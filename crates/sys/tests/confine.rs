//! Confinement, by trying what is forbidden. Each test confines a thread of its own: the filters hold
//! for that thread and those it starts, not for the rest of the test program.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_sys::confine::{Files, Unlisted, drop_capabilities, restrict_calls, restrict_files};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// Runs `with` on a thread of its own; a panic there is one here.
fn alone<T: Send + 'static>(with: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(with).join().unwrap()
}

struct Directory(PathBuf);

impl Directory {
    fn new(label: &str) -> Self {
        let name = format!("eclusa-confine-{}-{label}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, "secret").unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A system call that no list of ours has, with arguments that do no harm: `personality(2)`, asked for
/// what it is.
fn unlisted() -> io::Result<i64> {
    // SAFETY: this value only asks.
    let result = unsafe { libc::personality(0xffff_ffff) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.into()) }
}

#[test]
fn a_call_that_is_not_listed_fails_with_eperm_and_kills_nobody() {
    alone(|| {
        unlisted().unwrap();
        restrict_calls(Unlisted::Refused).unwrap();
        assert_eq!(unlisted().unwrap_err().raw_os_error(), Some(libc::EPERM));
        // Threads that are started later are no better off.
        let later = thread::spawn(|| unlisted().unwrap_err().raw_os_error()).join().unwrap();
        assert_eq!(later, Some(libc::EPERM));
        // No program is started, no kernel socket opened, no other process signalled.
        assert!(Command::new("true").status().is_err());
        // SAFETY: these calls have no memory arguments.
        let packet = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
        assert_eq!((packet, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
        // SAFETY: as above; signal 0 only asks whether the process is there.
        let kill = unsafe { libc::kill(libc::getppid(), 0) };
        assert_eq!((kill, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
    });
    unlisted().unwrap();
}

#[test]
fn what_the_engine_does_all_day_is_listed() {
    alone(|| {
        restrict_calls(Unlisted::Refused).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"hello").unwrap();
        });
        let mut heard = String::new();
        listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
        client.join().unwrap();
        assert_eq!(heard, "hello");
        // Names are looked up.
        assert!(std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().next().is_some());
        UnixDatagram::pair().unwrap();
        assert!(eclusa_sys::limits::raise_descriptors().is_some());
        let reactor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        reactor.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await });
    });
}

#[test]
fn logged_calls_are_let_through() {
    alone(|| {
        restrict_calls(Unlisted::Logged).unwrap();
        unlisted().unwrap();
    });
}

#[test]
fn files_outside_the_list_cannot_be_opened() {
    let (ours, foreign) = (Directory::new("ours"), Directory::new("foreign"));
    let (readable, shadow) = (ours.file("config"), foreign.file("shadow"));
    let logs = Directory::new("logs");
    let files = Files {
        read: vec![ours.0.clone(), "/nowhere/at/all".into()],
        write: vec![logs.0.clone(), "/dev/null".into()],
    };
    let log = logs.0.join("log");
    let held = alone(move || {
        // What is open stays open.
        let mut before = File::open(&shadow).unwrap();
        let Some(abi) = restrict_files(&files).unwrap() else { return false };
        assert!(abi >= 1);
        let mut text = String::new();
        before.read_to_string(&mut text).unwrap();
        assert_eq!(text, "secret");
        for wanted in [&shadow, &PathBuf::from("/etc/shadow"), &PathBuf::from("/etc/fstab")] {
            let error = File::open(wanted).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{}", wanted.display());
        }
        File::open(&readable).unwrap();
        let error = OpenOptions::new().write(true).open(&readable).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        // A log is made, moved away and made again.
        fs::write(&log, "one").unwrap();
        fs::rename(&log, log.with_extension("1")).unwrap();
        fs::write(&log, "two").unwrap();
        fs::write("/dev/null", "nothing").unwrap();
        // Threads that are started later are no better off.
        thread::spawn(move || File::open(&shadow).unwrap_err()).join().unwrap();
        true
    });
    if !held {
        let _ = writeln!(io::stderr(), "SKIPPED: this kernel has no Landlock");
    }
}

#[test]
fn capabilities_do_not_come_back() {
    alone(|| {
        drop_capabilities(None).unwrap();
        let own = fs::read_to_string("/proc/thread-self/status").unwrap();
        let none = |field: &str| {
            let line = own.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap() == 0
        };
        for field in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert!(none(field), "{field} {own}");
        }
        assert!(own.contains("NoNewPrivs:\t1"));
    });
}
