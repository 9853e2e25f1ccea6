//! From HAProxy to ours and back: the canary, and the runbook of a whole migration with keepalived.

mod canary;
mod clients;
mod keepalived;
mod pinger;
mod runbook;
