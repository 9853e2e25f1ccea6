//! The socket that orders come in by.

use std::path::PathBuf;
use std::sync::Arc;

/// The admin socket: whoever may write to it may order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it is; `None`: `apiserver.sock` or `edge.sock` in the run directory.
    pub socket: Option<PathBuf>,
    /// Its file mode, such as `0o660`.
    pub mode: u32,
    /// Its group, by name or number; `None`: the service's.
    pub group: Option<Arc<str>>,
    /// Whether drills may be ordered.
    pub drills: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: None, mode: 0o660, group: None, drills: false }
    }
}
