//! How bodies go, and why one does not come whole.

use eclusa_wire::http1::Reason;
use std::io;

/// Bytes of a body that are kept on each side of a place where it is wrong: enough to see the chunks,
/// and little of what they carry.
const AROUND: usize = 128;

/// How a body goes on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its bytes are: the length is known, or it ends with the connection.
    Plain,
    /// In chunks.
    Chunks,
    /// In frames of HTTP/2, the last of which says so.
    Frames,
}

/// Which side a fault is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Where the body comes from.
    From,
    /// Where it goes to.
    To,
}

/// Why a body is not whole.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection broke.
    Broken(Side, io::Error),
    /// It ended before the body did.
    Early,
    /// The body is not as it should be.
    Refused(Box<Trouble>),
    /// It is longer than may be.
    TooLong,
}

/// What is wrong with a body, and the bytes around it.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// At most [`AROUND`] before the place and as many behind it.
    pub(crate) bytes: Vec<u8>,
    /// The place in these.
    pub(crate) at: usize,
}

impl Trouble {
    pub(super) fn new(reason: Reason, bytes: &[u8], at: usize) -> Self {
        let at = at.min(bytes.len());
        let from = at.saturating_sub(AROUND);
        let to = (at + AROUND).min(bytes.len());
        Self { reason, bytes: bytes.get(from..to).unwrap_or_default().to_vec(), at: at - from }
    }
}
