//! Behaviour: the programs do what they are for, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod apiserver;
mod book;
mod command_line;
mod edge;
mod instance;
mod limits;
mod listeners;
mod postgres;
mod schema;
mod send_proxy;
mod stop;
mod workers;
