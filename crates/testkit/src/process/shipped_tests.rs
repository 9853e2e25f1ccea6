//! The units under `systemd/`.

use super::{Scratch, Unit};
use std::io::Write;
use std::process::Command;

const PROGRAMS: [&str; 2] = ["eclusa-apiserver", "eclusa-edge"];

#[test]
fn the_shipped_units_say_the_same_but_for_name_and_capabilities() {
    let read = |program| Unit::shipped(program).unwrap();
    let (apiserver, edge) = (read("eclusa-apiserver"), read("eclusa-edge"));
    let capabilities = |unit: &Unit| {
        let both = ["AmbientCapabilities", "CapabilityBoundingSet"];
        both.map(|key| unit.capabilities(key).unwrap().unwrap())
    };
    assert_eq!(capabilities(&apiserver), [const { Vec::<String>::new() }; 2]);
    let for_keeper = ["net_bind_service", "dac_read_search"].map(str::to_owned).to_vec();
    assert_eq!(capabilities(&edge), [(); 2].map(|()| for_keeper.clone()));
    let plain = |unit: &Unit| {
        let text = std::fs::read_to_string(unit.path()).unwrap();
        let kept = |line: &&str| !line.starts_with('#') && !line.contains("Capabilit");
        let lines: Vec<_> = text.lines().filter(kept).map(str::to_owned).collect();
        let same = lines.join("\n").replace("eclusa-apiserver", "P").replace("eclusa-edge", "P");
        same.replace("apiserver.toml", "F").replace("edge.toml", "F")
    };
    let without_description = |text: String| {
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("Description=")).collect();
        lines.join("\n")
    };
    assert_eq!(without_description(plain(&apiserver)), without_description(plain(&edge)));
}

/// A copy of the unit whose program exists, for tools that look.
fn with_a_program(scratch: &Scratch, program: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(Unit::shipped(program).unwrap().path()).unwrap();
    let text = text.replace(&format!("/usr/bin/{program} "), "/bin/true ");
    scratch.write(&format!("{program}.service"), &text).unwrap()
}

/// What `systemd-analyze` says, and whether it is content; `None` where it is not installed.
fn systemd_analyze(arguments: &[&str], unit: &std::path::Path) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    let Ok(output) = command.args(arguments).arg(unit).output() else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: systemd-analyze is not installed");
        return None;
    };
    let both = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&both).into_owned()))
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let scratch = Scratch::new("units").unwrap();
    for program in PROGRAMS {
        let unit = with_a_program(&scratch, program);
        if let Some((content, said)) = systemd_analyze(&["verify", "--man=no"], &unit) {
            assert!(content && said.is_empty(), "{program}: {said}");
        }
    }
}

#[test]
fn the_units_are_exposed_to_at_most_2_5_of_10() {
    let scratch = Scratch::new("units").unwrap();
    for program in PROGRAMS {
        let unit = with_a_program(&scratch, program);
        let arguments = ["security", "--offline=true", "--threshold=25", "--no-pager"];
        if let Some((content, said)) = systemd_analyze(&arguments, &unit) {
            assert!(content && said.contains("Overall exposure level"), "{program}: {said}");
        }
    }
}
