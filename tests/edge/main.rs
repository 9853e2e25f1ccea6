//! The edge at layer 7: the real `eclusa-edge` as its unit runs it, before real nginx and before
//! endpoints that record every byte.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;
mod certbot;
mod ends;
mod errors;
mod faults;
mod figures;
mod hostile;
mod limits;
mod metrics;
mod passwords;
mod lists;
mod recorder;
mod reload;
mod renewal;
mod reply;
mod shows;
