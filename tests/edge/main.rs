//! The edge at layer 7: the real `eclusa-edge` as its unit runs it, before real nginx and before
//! endpoints that record every byte.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bed;
mod dice;
mod duct;
mod ends;
mod faults;
mod hostile;
mod idle;
mod mirror;
mod recorder;
mod reload;
mod reply;
mod shows;
mod slow;
mod stress;
