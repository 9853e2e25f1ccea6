//! The test bed: throw-away CA, fake apiservers, plain endpoints, clients that record the fate
//! of every session, the namespace cluster, and a runner that starts a binary as its unit would.
//!
//! Everything here blocks and can be called from a plain `#[test]`: what needs a reactor runs on
//! a thread of its own ([`background`]) and ends when its handle is dropped. Such a thread is
//! born in the network namespace of the thread that starts it, so that
//! `cluster.host("master1").enter(|| ApiServer::start(..))` puts an endpoint into the cluster.
//!
//! Never shipped, and never a dependency of a crate that is.

pub mod apiserver;
pub mod background;
pub mod book;
pub mod ca;
pub mod client;
pub mod endpoint;
pub mod explained;
pub mod flood;
pub mod http2;
pub mod netns;
pub mod pages;
pub mod process;
pub mod proxy_header;
pub mod random;
pub mod stream;
pub mod tls;
pub mod wait;

pub use wait::{free_port, wait_until};
