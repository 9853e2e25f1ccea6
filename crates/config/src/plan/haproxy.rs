//! The socket that answers as HAProxy's does.

use super::Admin;

/// A socket for monitoring and tools that know HAProxy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaproxySocket {
    /// Its file: `socket` is always there.
    pub file: Admin,
    /// What may be asked there.
    pub level: HaproxyLevel,
    /// Clients at once; further ones wait in the kernel's queue.
    pub clients_max: usize,
}

/// What may be asked on such a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaproxyLevel {
    /// Questions.
    #[default]
    Read,
    /// Orders as well.
    Operator,
}
