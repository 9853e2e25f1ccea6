//! What the program tells of itself over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

/// Figures and health over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observe {
    /// Where it is asked; none: nowhere.
    pub listen: Vec<SocketAddr>,
    /// Host and port (`10.0.0.9:9643`) where the other host of the address that both may hold
    /// answers the same; `None`: there is none.
    pub peer: Option<Arc<str>>,
    /// Whether it answers HAProxy's table of figures.
    pub haproxy_stats: bool,
    /// Whether its metrics have the names of HAProxy's exporter as well.
    pub haproxy_names: bool,
}
