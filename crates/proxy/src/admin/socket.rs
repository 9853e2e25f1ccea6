//! The file of the socket: made with its mode and group before anybody can reach it, in the place of
//! a dead instance's, never in that of a living one's or of anything else.

use super::peer::{group_number, user_name};
use eclusa_config::plan::{Admin, Program};
use rustix::fs::{AtFlags, CWD, Gid, Mode, chownat, fchmod};
use socket2::{Domain, SockAddr, Type};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Orders and questions of our own commands.
    Admin,
    /// What HAProxy's socket is asked.
    Haproxy,
    /// The dashboard's page.
    Dashboard,
}

impl Role {
    /// Its name, and the key that says where it is.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Admin => ("admin socket", "admin.socket"),
            Self::Haproxy => ("HAProxy socket", "haproxy_socket.path"),
            Self::Dashboard => ("dashboard's socket", "dashboard.socket"),
        }
    }
}

/// Why there is no such socket.
#[derive(Debug)]
pub(crate) struct SocketError {
    role: Role,
    pub(super) problem: Problem,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Problem {
    /// A living program answers there.
    Living {
        /// Where.
        path: PathBuf,
        /// Which process, where the kernel says so.
        holder: Option<String>,
    },
    /// Something else than a socket is there.
    NoSocket(PathBuf),
    /// It cannot be made: where, what was tried, what the system says.
    Io(PathBuf, &'static str, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (socket, key) = self.role.words();
        match &self.problem {
            Problem::Living { path, holder } => {
                write!(f, "{socket} {}: a running program answers there", path.display())?;
                if let Some(holder) = holder {
                    write!(f, " ({holder})")?;
                }
                write!(f, "; stop it, or set `{key}` to another path")
            }
            Problem::NoSocket(path) => write!(
                f,
                "{socket} {}: something is there that is no socket; move it away, or set `{key}` \
                 to another path",
                path.display()
            ),
            Problem::Io(path, what, error) => {
                write!(f, "{socket} {}: {what}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for SocketError {}

/// A listening socket for the operator; its file goes when this is dropped, unless another has taken its
/// place.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    /// Where the socket of a program is.
    pub(crate) fn path(admin: &Admin, program: Program, run_directory: &Path) -> PathBuf {
        let usual = || run_directory.join(format!("{}.sock", program.short_name()));
        admin.socket.clone().unwrap_or_else(usual)
    }

    /// Makes the socket. `run_directory`: the one in use, where it is put unless the configuration
    /// says otherwise. A group that cannot be given is returned as a warning: the socket then stays
    /// with the group of the process.
    ///
    /// # Errors
    /// [`SocketError`]; then nothing has changed.
    pub(crate) fn open(
        admin: &Admin,
        program: Program,
        run_directory: &Path,
    ) -> Result<(Self, Option<String>), SocketError> {
        Self::open_as(Role::Admin, admin, program, run_directory)
    }

    /// The same for a socket of another role.
    ///
    /// # Errors
    /// [`SocketError`]; then nothing has changed.
    pub(crate) fn open_as(
        role: Role,
        admin: &Admin,
        program: Program,
        run_directory: &Path,
    ) -> Result<(Self, Option<String>), SocketError> {
        let path = Self::path(admin, program, run_directory);
        Self::make(role, admin, path).map_err(|problem| SocketError { role, problem })
    }

    fn make(role: Role, admin: &Admin, path: PathBuf) -> Result<(Self, Option<String>), Problem> {
        look(&path)?;
        let failed = |what| {
            let path = path.clone();
            move |error: io::Error| Problem::Io(path, what, error)
        };
        let first = first_name(&path);
        match fs::symlink_metadata(&first) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(Problem::NoSocket(first));
            }
            // Of an instance that ended while it made its socket.
            Ok(_) => fs::remove_file(&first).map_err(failed("cannot replace"))?,
            Err(_) => {}
        }
        let listener = listen(&first).map_err(failed("cannot be made"))?;
        let finish = || {
            let warning = give(role, &first, admin.group.as_deref());
            fs::set_permissions(&first, fs::Permissions::from_mode(admin.mode))?;
            let made = fs::symlink_metadata(&first)?;
            fs::rename(&first, &path)?;
            Ok((warning, (made.dev(), made.ino())))
        };
        match finish() {
            Ok((warning, identity)) => {
                let listener = Some(listener);
                Ok((Self { listener, path: path.clone(), identity }, warning))
            }
            Err(error) => {
                // What is left is replaced the next time.
                let _ = fs::remove_file(&first);
                Err(failed("cannot be put in place")(error))
            }
        }
    }

    /// The listener, for whoever accepts on this thread's reactor.
    ///
    /// # Errors
    /// The reactor does not take it, or it was taken before.
    pub(crate) fn take_listener(&mut self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.take().ok_or(io::ErrorKind::NotConnected)?;
        tokio::net::UnixListener::from_std(listener)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let still = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if still {
            // A file that stays is replaced by the next instance.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name that a socket has until it is ready: short, for the kernel takes 107 bytes.
fn first_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes sure that nobody lives there.
fn look(path: &Path) -> Result<(), Problem> {
    let failed = |what, error| Problem::Io(path.to_owned(), what, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("cannot be looked at", error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Problem::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|error| failed("cannot be asked", error))?;
    let address = SockAddr::unix(path).map_err(|error| failed("cannot be asked", error))?;
    match socket.connect(&address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full queue is one that somebody owns.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Problem::Living { path: path.to_owned(), holder: None })
        }
        Err(error) => Err(failed("cannot be asked whether it is in use", error)),
        Ok(()) => {
            let holder = rustix::net::sockopt::socket_peercred(&socket).ok().map(|holder| {
                let user = user_name(holder.uid.as_raw());
                let user = user.unwrap_or_else(|| holder.uid.as_raw().to_string());
                format!("pid {}, user {user}", holder.pid.as_raw_nonzero())
            });
            Err(Problem::Living { path: path.to_owned(), holder })
        }
    }
}

/// A listening socket that nobody but this user can reach.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file that `bind` makes takes the mode of the descriptor, less the umask: there is no moment
    // at which others could connect.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Gives the socket to a group, or tells why not.
fn give(role: Role, path: &Path, group: Option<&str>) -> Option<String> {
    let group = group?;
    let told = |problem: &str| {
        let path = path.parent().unwrap_or(path).display();
        let (socket, _) = role.words();
        Some(format!("the {socket} in {path} stays with the group of the service: {problem}"))
    };
    let Some(number) = group_number(group) else {
        return told(&format!("/etc/group has no `{group}`"));
    };
    match chownat(CWD, path, None, Some(Gid::from_raw(number)), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) => None,
        Err(error) => {
            let error = io::Error::from(error);
            told(&format!("`{group}`: {error} (is the service's user in that group?)"))
        }
    }
}
