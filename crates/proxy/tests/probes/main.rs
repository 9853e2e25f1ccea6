//! What probes find and what becomes of it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bodies;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/dns.rs"]
mod dns;
mod grpc;
mod link;
mod names;
mod noise;
mod secrets;
mod verdicts;
