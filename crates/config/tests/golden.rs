//! Every message: inputs beside the text that they must yield.
//!
//! `golden/edge-*.toml` and `golden/apiserver-*.toml` go to the program that they are named after,
//! offline, or as on this host where the name has `host`; the expected text is the `.txt` file
//! beside. `BLESS=1 cargo test -p eclusa-config` writes those files anew.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_config::{CommandOption, Mode};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn compare(expected: &Path, actual: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, actual).unwrap();
        return;
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    if text != actual {
        wrong.push(format!("{}:\n{actual}--- expected:\n{text}", expected.display()));
    }
}

fn render(result: Result<eclusa_config::Loaded, eclusa_config::Diagnostics>) -> String {
    match result {
        Ok(loaded) => format!("{}ok\n", loaded.warnings),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

#[test]
fn every_message() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let program = if name.starts_with("edge") { Program::Edge } else { Program::Apiserver };
        let mode = if name.contains("host") { Mode::Host } else { Mode::Offline };
        let loaded = eclusa_config::load(program, &path, mode);
        // Where the repository lies must not show.
        let text = render(loaded).replace(&format!("{}/", folder().display()), "");
        compare(&path.with_extension("txt"), &text, &mut wrong);
        count += 1;
    }
    assert!(count > 30, "only {count} inputs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_command_line() {
    let options = |listen: &[&str], masters: &[&str]| {
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let options = [
            CommandOption { key: "listen", option: "--listen", values: strings(listen) },
            CommandOption { key: "masters", option: "--master", values: strings(masters) },
        ];
        let command = "eclusa-apiserver run";
        eclusa_config::options(Program::Apiserver, command, &options, Mode::Offline)
    };
    let mut wrong = Vec::new();
    let bad = render(options(&["127.0.0.1:0"], &["10.0.0.300", "10.0.0.12", "10.0.0.12"]));
    compare(&folder().join("command-line.txt"), &bad, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let plan = options(&["127.0.0.1:16443"], &["10.0.0.11", "10.0.0.12:7443"]).unwrap().plan;
    let endpoint = |index: usize| format!("{:?}", plan.pools[0].endpoints[index].address);
    assert_eq!(plan.listeners[0].addresses[0].address.to_string(), "127.0.0.1:16443");
    assert_eq!([endpoint(0), endpoint(1)], ["Socket(10.0.0.11:6443)", "Socket(10.0.0.12:7443)"]);
}

#[test]
fn a_missing_file() {
    let path = Path::new("/nowhere/eclusa.toml");
    let text = eclusa_config::load(Program::Edge, path, Mode::Offline).unwrap_err().to_string();
    let mut wrong = Vec::new();
    compare(&folder().join("missing.txt"), &text, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_file_that_is_too_large() {
    let text = "#".repeat(eclusa_config::FILE_MAX + 1);
    let path = std::env::temp_dir().join(format!("eclusa-large-{}.toml", std::process::id()));
    fs::write(&path, text).unwrap();
    let loaded = eclusa_config::load(Program::Edge, &path, Mode::Offline);
    fs::remove_file(&path).unwrap();
    let text = loaded.unwrap_err().to_string().replace(path.to_str().unwrap(), "large.toml");
    let mut wrong = Vec::new();
    compare(&folder().join("too-large.txt"), &text, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn very_many_mistakes_are_counted() {
    let text: String = (0..5_000).map(|number| format!("k{number} = 1\n")).collect();
    let diagnostics =
        eclusa_config::parse(Program::Edge, "many.toml", &text, Mode::Offline).unwrap_err();
    assert_eq!(diagnostics.items().len(), 200);
    let text = diagnostics.to_string();
    assert!(text.ends_with("\n... and 4801 more\nmany.toml: 5001 errors\n"), "{text}");
}
