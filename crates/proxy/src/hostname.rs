//! The name of this host, for what endpoints and clients are told of it.

use std::sync::OnceLock;

/// This host's name, as it was when it was asked for first.
#[must_use]
pub fn hostname() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}
