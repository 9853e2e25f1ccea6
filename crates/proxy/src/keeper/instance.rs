//! A second instance fails loudly. With `SO_REUSEPORT` the kernel would let it share the address,
//! and half of the connections would go to a program that nobody watches.

use crate::listening;
use eclusa_sys::socket::try_exclusive;
use rustix::fs::{FlockOperation, flock};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The lock of one address; freed when dropped.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Why an address cannot be had.
#[derive(Debug)]
pub enum InstanceError {
    /// Somebody listens there.
    Taken {
        /// The address.
        address: SocketAddr,
        /// Name and pid of the program, where it could be found out.
        holder: Option<String>,
    },
    /// The run directory or a lock in it cannot be used.
    Lock(PathBuf, io::Error),
    /// The keeper says so.
    Told(String),
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(message) => f.write_str(message),
            Self::Taken { address, holder: Some(holder) } => {
                write!(f, "{address} is taken by {holder}: stop it, or listen elsewhere")
            }
            Self::Taken { address, holder: None } => write!(
                f,
                "{address} is taken by a program that this user cannot see \
                 (as root: ss -ltnp 'sport = {}')",
                address.port()
            ),
            Self::Lock(path, error) => {
                write!(
                    f,
                    "{}: {error} (set `run_directory` to a directory of the service's user)",
                    path.display()
                )
            }
        }
    }
}

/// Makes sure that nobody listens on an address.
pub(super) fn look(address: SocketAddr) -> Result<(), InstanceError> {
    match try_exclusive(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(InstanceError::Taken { address, holder: holder_of(address) })
        }
        // What else is wrong with it shows when it is listened on.
        _ => Ok(()),
    }
}

/// The directory for locks: the plan's, systemd's, `/run/eclusa`, or one of the user's own.
pub(crate) fn run_directory(wanted: Option<&Path>) -> Result<PathBuf, InstanceError> {
    let usable = |path: &Path| fs::create_dir_all(path).and_then(|()| probe_writable(path));
    if let Some(path) = wanted {
        return match usable(path) {
            Ok(()) => Ok(path.to_owned()),
            Err(error) => Err(InstanceError::Lock(path.to_owned(), error)),
        };
    }
    let user = rustix::process::getuid().as_raw();
    let of_environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let candidates = [
        of_environment("RUNTIME_DIRECTORY"),
        Some(PathBuf::from("/run/eclusa")),
        of_environment("XDG_RUNTIME_DIR").map(|path| path.join("eclusa")),
        Some(std::env::temp_dir().join(format!("eclusa-{user}"))),
    ];
    let mut last = None;
    for path in candidates.into_iter().flatten() {
        match usable(&path) {
            Ok(()) => return Ok(path),
            Err(error) => last = Some(InstanceError::Lock(path, error)),
        }
    }
    let nowhere =
        || InstanceError::Lock(PathBuf::from("/run/eclusa"), io::ErrorKind::NotFound.into());
    Err(last.unwrap_or_else(nowhere))
}

fn probe_writable(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".probe-{}", std::process::id()));
    File::create(&path)?;
    match fs::remove_file(path) {
        // Another engine of this process asks at the same time.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the lock of an address.
pub(super) fn lock(
    directory: &Path,
    address: SocketAddr,
    program: &str,
) -> Result<InstanceLock, InstanceError> {
    // Addresses of different network namespaces have nothing to do with each other.
    let namespace = fs::read_link("/proc/self/ns/net").ok();
    let namespace = namespace.and_then(|path| Some(path.to_str()?.to_owned())).unwrap_or_default();
    let namespace: String = namespace.chars().filter(char::is_ascii_digit).collect();
    let path = directory.join(format!("{address}-{namespace}.lock"));
    let failed = |error| InstanceError::Lock(path.clone(), error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let read = file.read_to_string(&mut holder).is_ok();
        let holder = Some(holder.trim().to_owned()).filter(|holder| read && !holder.is_empty());
        return Err(InstanceError::Taken { address, holder });
    }
    let text = format!("{program}, pid {}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(failed)?;
    Ok(InstanceLock { _file: file })
}

/// Finds out who listens on `address`: the socket from the kernel's table, then the process that has it
/// open.
fn holder_of(address: SocketAddr) -> Option<String> {
    let found = listening::all().into_iter().find(|listening| listening.is_in_the_way(address))?;
    let holders = listening::holders(&[found]);
    holders.get(&found.inode)?.first().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_line_in_proc() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let holder = holder_of(address).unwrap();
        assert!(holder.ends_with(&format!("pid {}", std::process::id())), "{holder}");
        drop(listener);
        assert_eq!(holder_of(address), None);
    }

    #[test]
    fn a_lock_names_its_holder_and_goes_with_it() {
        let directory = std::env::temp_dir().join(format!("eclusa-lock-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let address = "127.0.0.1:6443".parse().unwrap();
        let held = lock(&directory, address, "eclusa-edge").unwrap();
        let error = lock(&directory, address, "eclusa-apiserver").unwrap_err().to_string();
        let expected =
            format!("127.0.0.1:6443 is taken by eclusa-edge, pid {}", std::process::id());
        assert!(error.starts_with(&expected), "{error}");
        drop(held);
        lock(&directory, address, "eclusa-apiserver").unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
