//! Why an engine could not start.

use crate::keeper::InstanceError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why an engine could not start; nothing is left running.
#[derive(Debug)]
pub enum StartError {
    /// Another instance, or another program, has the address.
    Taken(InstanceError),
    /// An address of `observe.listen` cannot be listened on.
    Observe(SocketAddr, io::Error),
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// A CA bundle cannot be used.
    Ca(String),
    /// A certificate or another file of a listener cannot be used.
    Service(String),
    /// The log cannot be opened, or a thread not started.
    Io(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(error) => error.fmt(f),
            Self::Observe(address, error) => {
                write!(f, "`observe.listen`: cannot listen on {address}: {error}")?;
                if error.kind() == io::ErrorKind::AddrInUse {
                    f.write_str(
                        " (write an address that nothing else on this host has; `observe` has it \
                         while it runs)",
                    )?;
                }
                Ok(())
            }
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}")?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str(" (a port below 1024 takes CAP_NET_BIND_SERVICE)")?;
                }
                Ok(())
            }
            Self::Ca(message) | Self::Service(message) => f.write_str(message),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
