//! The page that shows how everything is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The dashboard: a page over HTTP, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dashboard {
    /// Where it is served over TCP.
    pub listen: Vec<SocketAddr>,
    /// The Unix socket where it is served; mode and group are those of the admin socket.
    pub socket: Option<PathBuf>,
    /// Names that a browser may know it by, beside `localhost` and plain addresses.
    pub hosts: Vec<Arc<str>>,
    /// The file with the token that orders need; `None`: it takes none.
    pub token_file: Option<PathBuf>,
    /// Pages that may be kept up to date at once.
    pub viewers_max: usize,
}

impl Default for Dashboard {
    fn default() -> Self {
        let (listen, hosts) = (Vec::new(), Vec::new());
        Self { listen, socket: None, hosts, token_file: None, viewers_max: 16 }
    }
}

impl Dashboard {
    /// Whether it is served anywhere.
    #[must_use]
    pub fn is_served(&self) -> bool {
        !self.listen.is_empty() || self.socket.is_some()
    }
}
