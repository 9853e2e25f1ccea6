//! The table of keys and the code that reads them agree.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_config::reference::{self, Section};
use eclusa_config::{Mode, parse};

/// Every section of a program, with the path that leads there.
fn sections(program: Program) -> Vec<(String, &'static Section)> {
    let mut sections = Vec::new();
    reference::walk(program, &mut |path, section| sections.push((path.to_owned(), section)));
    sections
}

/// A document with `key = value` at `path`, in one line.
fn document(path: &str, key: &str, value: &str) -> String {
    let mut text = format!("{key} = {value}");
    for name in path.split('.').rev().filter(|name| !name.is_empty()) {
        text = match name {
            "masters" | "endpoints" | "route" | "rule" | "expect" => {
                format!("{name} = [{{ {text} }}]")
            }
            _ => format!("{name} = {{ {text} }}"),
        };
    }
    format!("{text}\n").replace("NAME", "name")
}

/// What is a key's value by no account must be told: a key that nobody reads would be ignored.
#[test]
fn every_key_is_read() {
    for program in [Program::Apiserver, Program::Edge] {
        let mut count = 0;
        for (path, section) in sections(program) {
            for key in section.keys {
                let text = document(&path, key.name, "1979-05-27");
                let diagnostics = parse(program, "t", &text, Mode::Offline).unwrap_err();
                let wrong = format!("`{}` is a date or time", key.name);
                let told = diagnostics.items().iter().any(|item| item.message.ends_with(&wrong));
                assert!(told, "{text}{diagnostics}");
                count += 1;
            }
        }
        assert!(count > 40, "only {count} keys");
    }
}

/// A default, written down, is right.
#[test]
fn every_default_is_right() {
    for program in [Program::Apiserver, Program::Edge] {
        for (path, section) in sections(program) {
            for key in section.keys {
                let Some(default) = key.default.value(program) else { continue };
                let text = document(&path, key.name, default);
                let told = match parse(program, "t", &text, Mode::Offline) {
                    Ok(loaded) => loaded.warnings,
                    Err(diagnostics) => diagnostics,
                };
                // Whatever is told of other things stands before.
                let value = text.rfind(&format!("= {default}")).unwrap() + 2;
                let about = told
                    .items()
                    .iter()
                    .filter(|item| item.span.is_some_and(|span| span.start >= value));
                assert_eq!(about.count(), 0, "{text}{told}");
            }
        }
    }
}

/// An example of a value, as remedies show it, is a value.
#[test]
fn every_example_is_of_the_right_type() {
    for program in [Program::Apiserver, Program::Edge] {
        for (path, section) in sections(program) {
            for key in section.keys {
                let text = document(&path, key.name, &key.kind.example());
                let Err(diagnostics) = parse(program, "t", &text, Mode::Offline) else { continue };
                let wrong = |message: &str| {
                    let text = message.contains(" is no ") && !message.starts_with("there is no");
                    text || message.contains(&format!("`{}` is a", key.name))
                };
                let told = diagnostics.items().iter().any(|item| wrong(&item.message));
                assert!(!told, "{text}{diagnostics}");
            }
        }
    }
}

#[test]
fn names_are_written_one_way_and_tell_what_they_are_for() {
    for program in [Program::Apiserver, Program::Edge] {
        for (path, section) in sections(program) {
            let mut names: Vec<_> = section.keys.iter().map(|key| key.name).collect();
            for key in section.keys {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(key.name.chars().all(plain), "{}", key.name);
                assert!(key.help.ends_with(['.', ')']), "{path}.{}: {}", key.name, key.help);
            }
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), section.keys.len(), "{path} has a key twice");
        }
    }
}
