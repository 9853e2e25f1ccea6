//! A running engine in front of plain endpoints: sessions, limits, reload, stop.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "../common/mod.rs"]
mod common;
mod health;
mod limits;
mod rebalance;
mod reload;
mod replay;
mod session;
mod stop;
