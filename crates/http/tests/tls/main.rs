//! TLS with real handshakes over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod choice;
mod clients;
mod failures;
mod foreign;
mod mistakes;
mod originate;
mod renewal;
mod support;
mod tickets;
