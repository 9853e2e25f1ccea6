//! The shipped units: what systemd-analyze says of them, and what systemd itself makes of them.

mod restarts;
mod stage;
mod starts;

use e2e::product::Program;
use e2e::proof::Item;
use eclusa_testkit::process::{Analysis, Unit};

const PROGRAMS: [Program; 2] = [Program::Apiserver, Program::Edge];
/// Of 10, at which nothing at all is held.
const EXPOSED: f64 = 2.5;

/// What systemd-analyze says of each unit; none where it is not installed, which is told.
fn analyzed(arguments: &[&str]) -> Vec<(&'static str, Analysis)> {
    let analyze = |program: Program| {
        let unit = Unit::shipped(program.name()).unwrap();
        Some((program.name(), unit.analyze(arguments).unwrap()?))
    };
    PROGRAMS.into_iter().filter_map(analyze).collect()
}

#[test]
fn systemd_analyze_is_content_with_the_units() {
    let verified = analyzed(&["verify", "--man=no"]);
    let secured = analyzed(&["security", "--offline=true", "--threshold=25", "--no-pager"]);
    if verified.is_empty() || secured.is_empty() {
        return;
    }
    let said: String = verified.iter().map(|(_, analysis)| analysis.said.as_str()).collect();
    Item::new("3a.1 systemd-analyze verify")
        .bound("nothing to say of either unit")
        .n(verified.len())
        .record(
            said.is_empty() && verified.iter().all(|(_, analysis)| analysis.content),
            format!("{} lines said", said.lines().count()),
        );
    // "→ Overall exposure level for eclusa-edge.service: 1.9 OK"
    let level = |said: &str| {
        let (_, level) = said.split_once("Overall exposure level for ")?.1.split_once(": ")?;
        level.split_whitespace().next()?.parse::<f64>().ok()
    };
    let levels = secured.iter().map(|(name, analysis)| (*name, level(&analysis.said)));
    let levels: Vec<_> = levels.map(|(name, level)| (name, level.unwrap())).collect();
    let told: Vec<_> = levels.iter().map(|(name, level)| format!("{name} {level}")).collect();
    Item::new("3a.2 systemd-analyze security --offline=true")
        .bound(format!("exposure of at most {EXPOSED} of 10"))
        .n(levels.len())
        .record(
            levels.iter().all(|(_, level)| *level <= EXPOSED)
                && secured.iter().all(|(_, analysis)| analysis.content),
            told.join(", "),
        );
}
