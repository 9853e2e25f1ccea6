//! The Linux calls: splice and pipes, socket options, TCP_INFO, limits, interfaces.
//!
//! The only crate of the project that may use `unsafe`; everything it offers is safe to call.

pub mod interface;
pub mod limits;
pub mod pipe;
pub mod reactor;
pub mod socket;
pub mod tcp_info;
