//! Verdicts: what a fault of a master, or trouble that is none, does to clients. The fault table
//! and the false-alarm table, a reconnect storm, and a pool that is slow as a whole.
//!
//! Every day a few rows run once, ours alone. In a proof (`ECLUSA_PROOF=1`) each row runs
//! `ECLUSA_RUNS` times (5), Debian's HAProxy beside ours. `ECLUSA_ROWS=frozen,killed` runs these
//! rows only, and `ECLUSA_CANDIDATES=ours,kubeadm,tuned` these candidates, whatever the size.
//! Several run at once, in clusters that know nothing of each other (`schedule`);
//! `ECLUSA_PLACES=1` runs one after the other.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod alarms;
mod bed;
mod bound;
mod candidate;
mod clock;
mod faults;
mod haproxy;
mod names;
mod record;
mod row;
mod schedule;
mod seen;
mod slow;
mod storm;
mod table;
mod trouble;
