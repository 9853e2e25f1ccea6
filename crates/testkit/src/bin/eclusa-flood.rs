//! One attacker of the test bed as a process of its own: says what it has seen as one line of JSON
//! when its time is over.

use clap::Parser;
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::flood::{Attack, Flood};
use eclusa_testkit::wait::parse_duration;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// Floods a listener of the test bed, as fast as one thread can.
#[derive(Parser)]
#[command(name = "eclusa-flood")]
struct Command {
    /// Which attack
    attack: Attack,
    /// The listener: an address and a port
    #[arg(long)]
    to: SocketAddr,
    /// For how long
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    lasts: Duration,
}

fn main() -> ExitCode {
    let Command { attack, to, lasts } = Command::parse();
    let _ = raise_file_limit();
    match (Flood { attack, to, lasts }).run().and_then(|report| {
        let line = serde_json::to_string(&report).map_err(io::Error::other)?;
        writeln!(io::stdout(), "{line}")
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "eclusa-flood: {error}");
            ExitCode::FAILURE
        }
    }
}
