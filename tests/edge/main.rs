//! The edge at layer 7: the real `eclusa-edge` as its unit runs it, before real nginx and before
//! endpoints that record every byte.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod autobahn;
mod bed;
mod carried;
mod certbot;
mod clients;
mod corpus;
mod dice;
mod duct;
mod endpoints;
mod ends;
mod errors;
mod faults;
mod figures;
mod floods;
mod gone;
mod grpc;
mod h2;
mod handshakes;
mod hostile;
mod hostile_answers;
mod hostile_raw;
mod idle;
mod limits;
mod lists;
mod metrics;
mod mirror;
mod passwords;
mod readers;
mod recorder;
mod reload;
mod renewal;
mod reply;
mod shows;
mod slow;
mod soak;
mod streams;
mod stress;

#[path = "../../crates/wire/tests/http1/table.rs"]
mod table;
