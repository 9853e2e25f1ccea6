//! How the programs live as services: started, reloaded, killed, restarted, told what to do, and what
//! they tell.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod agreement;
mod compare;
mod compat;
mod cost;
mod dashboard;
mod day;
mod doctor;
mod drill;
mod haproxys_log;
mod keeper;
mod large;
mod logs;
mod migration;
mod observe;
mod operate;
mod reload;
mod stuck;
mod systemd;
mod units;
