//! Reloads, by the command and by the signal in turn, and what is told of each.

use e2e::product::{PATIENCE, Product};
use eclusa_testkit::process::{Signal, binary};
use eclusa_testkit::wait::wait_for;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::process::Command;

/// What no reload may bring: the log tells of it.
const ALARMS: [&str; 1] = ["engine_ended"];

/// The log of a program, read on from where it was read to.
#[derive(Debug)]
struct Tail {
    file: File,
    rest: Vec<u8>,
}

impl Tail {
    /// Reads from the beginning.
    fn new(product: &Product) -> Self {
        Self { file: File::open(product.log()).unwrap(), rest: Vec::new() }
    }

    /// The events that have come since, without the records of sessions.
    fn more(&mut self) -> Vec<Value> {
        self.file.read_to_end(&mut self.rest).unwrap();
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..end).collect();
        let lines = String::from_utf8_lossy(&lines);
        let lines = lines.lines().filter(|line| !line.contains("\"event\":\"session\""));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// What came of a reload.
#[derive(Debug)]
pub struct Outcome {
    /// The event of the log.
    pub event: Value,
    /// What the command said, and its exit code; `None` of a signal.
    pub said: Option<(i32, String)>,
}

impl Outcome {
    /// Whether the file was taken, as `generation`, and all these changes were told.
    pub fn is_taken(&self, generation: u64, changes: &[String]) -> bool {
        let told = |change: &String| {
            let listed = self.event["changes"]
                .as_array()
                .is_some_and(|told| told.iter().any(|one| one.as_str() == Some(change)));
            listed && self.said.as_ref().is_none_or(|(_, said)| said.contains(change))
        };
        self.event["event"] == "reloaded"
            && self.event["generation"] == generation
            && self.said.as_ref().is_none_or(|(code, _)| *code == 0)
            && changes.iter().all(told)
    }

    /// Whether the file was refused with these words, and the command ended with this code.
    pub fn is_refused(&self, words: &str, code: i32) -> bool {
        let message = self.event["message"].as_str().unwrap_or_default();
        self.event["event"] == "reload_refused"
            && message.contains(words)
            && self.said.as_ref().is_none_or(|(ended, said)| *ended == code && said.contains(words))
    }
}

/// Who orders reloads of a program.
#[derive(Debug)]
pub struct Orders {
    tail: Tail,
    /// Events that no reload may bring.
    pub alarms: Vec<Value>,
}

impl Orders {
    /// Of a program that has just been started.
    pub fn new(product: &Product) -> Self {
        Self { tail: Tail::new(product), alarms: Vec::new() }
    }

    /// Reloads, by the command or by SIGHUP.
    #[track_caller]
    pub fn reload(&mut self, product: &mut Product, by_command: bool) -> Outcome {
        let said = if by_command {
            Some(say(product, &["reload"]))
        } else {
            product.signal(Signal::HUP).unwrap();
            None
        };
        let event = wait_for(PATIENCE, "what came of a reload", || self.outcome());
        Outcome { event, said }
    }

    fn outcome(&mut self) -> Option<Value> {
        let mut found = None;
        for event in self.tail.more() {
            if event["event"] == "reloaded" || event["event"] == "reload_refused" {
                assert!(found.is_none(), "one reload, and two outcomes: {found:?} {event}");
                found = Some(event);
            } else if ALARMS.iter().any(|alarm| event["event"] == *alarm) {
                self.alarms.push(event);
            }
        }
        found
    }
}

/// Runs a command of the program against its socket: its exit code, and all that it said.
pub fn say(product: &Product, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary("eclusa-edge").unwrap());
    command.args(words).arg("--socket").arg(product.run_directory().join("edge.sock"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}
