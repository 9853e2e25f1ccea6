//! The L4 data path and the operation around it.
//!
//! Start reading at `session`: the story of one TCP connection. `engine` starts and stops
//! everything, `relay` moves the bytes, `pool` knows the endpoints, `probe` looks after them,
//! `observe` tells what happened.

pub mod admin;
mod any_certificate;
pub mod bundle;
pub mod canary;
pub mod command;
mod confine;
mod control;
pub mod crew;
mod dashboard;
pub mod doctor;
mod drill;
pub mod drop_in;
pub mod engine;
mod explain;
mod files;
pub mod found;
mod haproxy;
mod hostname;
pub mod keeper;
pub mod laid_out;
pub mod layer7;
mod listener;
mod listening;
pub mod observe;
pub mod observing;
mod operate;
pub mod pool;
mod preamble;
mod probe;
mod registry;
mod relay;
mod replay;
mod resolve;
pub mod run;
mod session;
mod signal;
pub mod stage;
mod turn;
