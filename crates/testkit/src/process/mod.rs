//! Starts a program as its systemd unit would, without systemd: the unit's user, capabilities,
//! limits, environment and directories, in the network namespace of a host when one is given.
//!
//! ```no_run
//! # use eclusa_testkit::process::{Runner, Unit, binary};
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let unit = Unit::shipped("eclusa-edge")?;
//! let mut edge = Runner::new(binary("eclusa-edge")?).unit(&unit).args(["run", "-c", "edge.toml"]).start()?;
//! edge.wait_for_event(Duration::from_secs(5), "ready", |event| event["event"] == "ready");
//! # Ok(()) }
//! ```
//!
//! What of the unit is *not* brought about: `SystemCallFilter=`, the `Protect…=` family (mount
//! namespaces) and restarts. What a service says to systemd, and its store of descriptors, are there
//! with a [`Manager`]. All of it is there with a [`Booted`] systemd, in a container.

mod analyze;
mod binary;
mod booted;
mod manager;
mod meter;
mod peer;
mod runner;
mod running;
mod scratch;
mod spawner;
mod unit;

pub use analyze::Analysis;
pub use binary::binary;
pub(crate) use binary::workspace;
pub use booted::{Booted, Said};
pub use manager::{Manager, Notification};
pub use meter::Memory;
pub use peer::{Peer, PeerError};
pub use runner::{Runner, StartError};
pub use running::Running;
pub use rustix::process::Signal;
pub use scratch::Scratch;
pub use unit::{Identity, Unit, UnitError};

#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod tests;
