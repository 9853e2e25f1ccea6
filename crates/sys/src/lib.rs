//! The Linux calls: splice and pipes, socket options, TCP_INFO, limits, interfaces, the clock,
//! descriptor passing, files in memory, what systemd wants, confinement.
//!
//! The only crate of the project that may use `unsafe`; everything it offers is safe to call.

pub mod channel;
pub mod clock;
pub mod confine;
pub mod interface;
pub mod limits;
pub mod local_time;
pub mod memory;
pub mod pipe;
pub mod reactor;
pub mod socket;
pub mod systemd;
pub mod tcp_info;
pub mod transfer;
