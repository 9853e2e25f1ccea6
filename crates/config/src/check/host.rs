//! What depends on the host: files, directories, addresses, names. Left out offline.

use crate::Mode;
use crate::diagnostic::quoted;
use crate::plan::Plan;
use crate::reader::{Got, Report};
use eclusa_policy::rules::{Message, Users};
use ipnet::IpNet;
use rustix::fs::Access;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Others than the owner and the group may read, as file modes say.
const OTHERS: u32 = 0o004;
/// The shortest token that orders are taken with.
const TOKEN_MIN: usize = 16;
/// Names that `check` resolves; the rest is left to the run.
const NAMES_MAX: usize = 64;
/// Time for all of them together.
const RESOLVE: Duration = Duration::from_secs(2);

/// A CA bundle can be read and has a certificate in it.
pub(super) fn ca(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        certificates,
        "a file with at least one PEM certificate that the service's user can read",
        "copy the CA's certificate there (kubeadm has it in /etc/kubernetes/pki/ca.crt)",
    );
}

/// A certificate to show can be read.
pub(super) fn certificate(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        certificates,
        "a file with a PEM certificate that the service's user can read",
        "put the certificate there, then those between it and its CA",
    );
}

/// A private key can be read and is one.
pub(super) fn private_key(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        |text| match PrivateKeyDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
            Err(error) => Some(format!("is broken: {error}")),
            Ok(found) => match found.len() {
                0 => Some("has no private key in it that could be read".to_owned()),
                1 => None,
                count => Some(format!("has {count} private keys in it")),
            },
        },
        "a file with one PEM private key, not encrypted, that the service's user can read",
        "put the key of `certificate` there, and let nobody but that user read it",
    );
}

/// A bearer token can be read, and a request can carry it.
pub(super) fn token(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        |text| match text.trim_ascii() {
            [] => Some("is empty".to_owned()),
            token if token.iter().all(u8::is_ascii_graphic) => None,
            _ => Some("holds more than one word, or what is not ASCII".to_owned()),
        },
        "a file with nothing but a bearer token that the service's user can read",
        "write the token there, alone: `kubectl create token NAME` makes one",
    );
}

/// The token of the dashboard can be read, is hard to guess, and is nobody else's to read.
pub(super) fn dashboard_token(report: &Report, path: &Got<PathBuf>) {
    if !report.mode.is_offline()
        && let Ok(found) = (report.open)(&path.value).and_then(|file| file.metadata())
        && found.permissions().mode() & OTHERS != 0
    {
        let shown = quoted(&path.value.display().to_string());
        report.warning(
            path.span,
            &format!("{shown} can be read by other users of this host, who may then give orders"),
            "a file that root alone may read: the keeper opens it",
            &format!("chmod 0600 {}", path.value.display()),
        );
    }
    file(
        report,
        path,
        |text| match text.trim_ascii() {
            [] => Some("is empty".to_owned()),
            token if !token.iter().all(u8::is_ascii_graphic) => {
                Some("holds more than one word, or what is not ASCII".to_owned())
            }
            token if token.len() < TOKEN_MIN => {
                Some(format!("holds a token of {} characters: it can be guessed", token.len()))
            }
            _ => None,
        },
        "a file with nothing but a token of at least 16 characters that the keeper can read",
        "make one: (umask 077; openssl rand -hex 24 > FILE)",
    );
}

/// A page or the body of an answer can be read.
pub(super) fn content(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        |_| None,
        "a file that the service's user can read",
        "put the file there, or correct the path",
    );
}

/// A file of a whole answer can be read, and has one of this status.
pub(super) fn message(report: &Report, path: &Got<PathBuf>, status: u16) {
    file(
        report,
        path,
        |text| match Message::parse(text) {
            Err(why) => Some(format!("is no whole answer: {why}")),
            Ok(message) if message.status != status => {
                Some(format!("has status {}, and the rule says {status}", message.status))
            }
            Ok(_) => None,
        },
        "a file with a status line of that status, header fields, an empty line and a body",
        "correct the file, or write the status that it has into `status`",
    );
}

/// A file of users can be read, and each of its lines is one.
pub(super) fn users(report: &Report, path: &Got<PathBuf>) {
    file(
        report,
        path,
        |text| match std::str::from_utf8(text) {
            Err(_) => Some("is no UTF-8 text".to_owned()),
            Ok(text) => match Users::parse(text) {
                Err(error) => Some(format!("is wrong: {error}")),
                Ok(users) => users.is_empty().then(|| "has no user in it".to_owned()),
            },
        },
        "a file of names and hashes of passwords that the service's user can read",
        "make it by `htpasswd -cB FILE NAME`",
    );
}

fn certificates(text: &[u8]) -> Option<String> {
    match CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
        Err(error) => Some(format!("is broken: {error}")),
        Ok(found) if found.is_empty() => Some("has no certificate in it".to_owned()),
        Ok(_) => None,
    }
}

/// A file that can be read, and in which `problem` finds none.
fn file(
    report: &Report,
    path: &Got<PathBuf>,
    problem: impl Fn(&[u8]) -> Option<String>,
    expected: &str,
    remedy: &str,
) {
    if report.mode.is_offline() {
        return;
    }
    let problem = match (report.open)(&path.value).and_then(crate::read) {
        Err(error) => Some(format!("cannot be read: {error}")),
        Ok(text) => problem(&text),
    };
    if let Some(problem) = problem {
        let shown = quoted(&path.value.display().to_string());
        report.error(path.span, &format!("{shown} {problem}"), expected, remedy);
    }
}

/// The log can be opened for writing.
pub(super) fn log_file(report: &Report, path: &Got<PathBuf>) {
    if report.mode.is_offline() {
        return;
    }
    let problem = if path.value.is_dir() {
        Some("it is a directory".to_owned())
    } else if path.value.exists() {
        writable(&path.value)
    } else {
        path.value.parent().and_then(writable)
    };
    if let Some(problem) = problem {
        let shown = quoted(&path.value.display().to_string());
        report.error(
            path.span,
            &format!("the log {shown} cannot be written: {problem}"),
            "a file in a directory that the service's user can write to",
            "create the directory for that user, or write \"stderr\" for the journal",
        );
    }
}

/// A socket is there that lines can be sent to. It may come later: a run tries again and again.
pub(super) fn log_socket(report: &Report, path: &Got<PathBuf>) {
    if report.mode.is_offline() {
        return;
    }
    let problem = match rustix::fs::stat(&path.value) {
        Err(error) => Some(io::Error::from(error).to_string()),
        Ok(found) if rustix::fs::FileType::from_raw_mode(found.st_mode).is_socket() => None,
        Ok(_) => Some("it is no socket".to_owned()),
    };
    if let Some(problem) = problem {
        let shown = quoted(&path.value.display().to_string());
        report.warning(
            path.span,
            &format!("nobody takes lines at {shown}: {problem}"),
            "the socket of a syslog or of the journal",
            "start what listens there, or write \"stderr\" for the journal of a service",
        );
    }
}

/// The run directory is there and writable, or can be made.
pub(super) fn run_directory(report: &Report, path: &Got<PathBuf>) {
    if report.mode.is_offline() {
        return;
    }
    let Some(existing) = path.value.ancestors().find(|ancestor| ancestor.exists()) else { return };
    let problem = if existing.is_dir() {
        writable(existing)
    } else {
        Some(format!("{} is no directory", quoted(&existing.display().to_string())))
    };
    if let Some(problem) = problem {
        report.error(
            path.span,
            &format!("`run_directory` cannot be used: {problem}"),
            "a directory that the service's user can write to",
            "create it for that user, or leave `run_directory` out",
        );
    }
}

/// The directory of a socket (`what`: `the admin socket`) is there and writable.
pub(super) fn socket(report: &Report, path: &Got<PathBuf>, what: &str) {
    if report.mode.is_offline() {
        return;
    }
    let problem = match path.value.parent() {
        Some(directory) if directory.is_dir() => writable(directory),
        Some(directory) => {
            Some(format!("there is no {}", quoted(&directory.display().to_string())))
        }
        None => None,
    };
    if let Some(problem) = problem {
        report.error(
            path.span,
            &format!("{what} cannot be made: {problem}"),
            "a path in a directory that the service's user can write to",
            "create the directory for that user, or choose another",
        );
    }
}

/// The group is one of this host's. Only a warning: without it the socket stays with the service's
/// own group, which lets nobody in who should stay out.
pub(super) fn group(report: &Report, name: &Got<Box<str>>) {
    if report.mode.is_offline() || name.value.bytes().all(|c| c.is_ascii_digit()) {
        return;
    }
    let known = std::fs::read_to_string("/etc/group").is_ok_and(|groups| {
        groups.lines().any(|line| line.split(':').next() == Some(&*name.value))
    });
    if !known {
        report.warning(
            name.span,
            &format!(
                "/etc/group has no {}: the socket stays with the service's group",
                quoted(&name.value)
            ),
            "a group of this host",
            "create it (`groupadd --system NAME`) and add the service's user to it",
        );
    }
}

fn writable(path: &Path) -> Option<String> {
    let error = rustix::fs::access(path, Access::WRITE_OK).err()?;
    Some(format!("{}: {}", quoted(&path.display().to_string()), io::Error::from(error)))
}

/// The address is one of this host's.
pub(super) fn source(report: &Report, address: &Got<IpAddr>) {
    if report.mode.is_offline() {
        return;
    }
    if let Err(error) = UdpSocket::bind((address.value, 0)) {
        report.error(
            address.span,
            &format!("`{}` is no address to connect from: {error}", address.value),
            "an address of this host",
            "write one of those that `ip address` lists; `--offline` checks a file for another host",
        );
    }
}

/// Names resolve, and to addresses inside `upstreams_within`. Only warnings: a name may come later,
/// and the run asks again and again.
pub(super) fn names(report: &Report, plan: &Plan) {
    if report.mode != Mode::Host {
        return;
    }
    let within = plan.pools.first().and_then(|pool| pool.within.clone());
    let mut names = report.names.take();
    names.truncate(NAMES_MAX);
    let (sender, receiver) = mpsc::channel();
    let mut waiting: HashMap<usize, &Got<Box<str>>> = names.iter().enumerate().collect();
    for (index, name) in names.iter().enumerate() {
        let (sender, name) = (sender.clone(), name.value.clone());
        // A resolver cannot be interrupted; the thread is left behind when time is up.
        let resolve = move || {
            let found = (&*name, 0).to_socket_addrs();
            let found = found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>());
            let _ = sender.send((index, found));
        };
        let _ = std::thread::Builder::new().name("resolve".into()).spawn(resolve);
    }
    drop(sender);
    let deadline = Instant::now() + RESOLVE;
    while let Ok((index, found)) =
        receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        let Some(name) = waiting.remove(&index) else { continue };
        match found {
            Ok(addresses) => outside(report, name, &addresses, within.as_deref()),
            Err(error) => unresolved(report, name, &error.to_string()),
        }
    }
    for name in waiting.values() {
        unresolved(report, name, &format!("no answer within {} s", RESOLVE.as_secs()));
    }
}

fn unresolved(report: &Report, name: &Got<Box<str>>, problem: &str) {
    report.warning(
        name.span,
        &format!("{} does not resolve: {problem}", quoted(&name.value)),
        "a name that DNS or /etc/hosts knows",
        "correct the name, or see to DNS; the run asks again and again",
    );
}

fn outside(report: &Report, name: &Got<Box<str>>, found: &[IpAddr], within: Option<&[IpNet]>) {
    let Some(within) = within else { return };
    let inside = |ip: &&IpAddr| within.iter().any(|network| network.contains(&ip.to_canonical()));
    if found.iter().any(|ip| inside(&ip)) {
        return;
    }
    let shown: Vec<_> = found.iter().take(4).map(ToString::to_string).collect();
    report.warning(
        name.span,
        &format!("{} is {}: outside `upstreams_within`", quoted(&name.value), shown.join(", ")),
        "an address in `upstreams_within`; others are never dialled",
        "correct the name, or widen `upstreams_within` if it is meant",
    );
}
