//! Security: what is hostile, malformed or out of bounds has a defined end, and it is logged.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod bad_input;
mod confine;
mod within;
