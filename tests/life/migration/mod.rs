//! From HAProxy to ours and back: the canary, and the runbook of a whole migration with keepalived.

mod canary;
mod clients;
mod keepalived;
mod pinger;
mod runbook;

use std::process::Command;

/// How a command ended, and all that it said.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
