//! The units under `systemd/`.

use super::{Analysis, Unit};

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

/// Each shipped unit, and what systemd-analyze says of it.
fn analyzed(arguments: &[&str]) -> Vec<(&'static str, Analysis)> {
    let analyze = |program| Unit::shipped(program).unwrap().analyze(arguments).unwrap();
    PROGRAMS.into_iter().filter_map(|program| Some((program, analyze(program)?))).collect()
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    for (program, analysis) in analyzed(&["verify", "--man=no"]) {
        assert!(analysis.content && analysis.said.is_empty(), "{program}: {analysis:?}");
    }
}

#[test]
fn the_units_are_exposed_to_at_most_2_5_of_10() {
    let arguments = ["security", "--offline=true", "--threshold=25", "--no-pager"];
    for (program, Analysis { content, said }) in analyzed(&arguments) {
        assert!(content && said.contains("Overall exposure level"), "{program}: {said}");
    }
}
