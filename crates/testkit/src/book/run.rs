//! What of the book can be run without a running program.

use super::{Page, pages, shell, toml};
use crate::process::Scratch;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Runs the book's `check`, `explain` and `drop-in` of the program at `binary`, each with the file that
/// its page has written or shown before, as on a host where nothing else is (`--offline`).
///
/// # Panics
/// One does not end with 0, or fewer than `least` can be run.
#[track_caller]
pub fn offline_commands_run(binary: &Path, least: usize) {
    let program = binary.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let scratch = Scratch::new("book").unwrap_or_else(|error| panic!("{error}"));
    let (mut count, mut wrong) = (0, Vec::new());
    for page in pages() {
        for (place, arguments) in runnable(&page, program, &scratch) {
            count += 1;
            let output = Command::new(binary).args(&arguments).output();
            let output = output.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                wrong.push(format!("{place}: {} {}: {told}", program, arguments.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= least, "only {count} commands of {program} in the book can be run");
}

/// Place and arguments of the commands of a page whose file the page has.
fn runnable(page: &Page, program: &str, scratch: &Scratch) -> Vec<(String, Vec<String>)> {
    let short = program.trim_start_matches("eclusa-");
    let usual = format!("/etc/eclusa/{short}.toml");
    let mut files: HashMap<String, String> = HashMap::new();
    let mut found = Vec::new();
    for block in page.blocks() {
        if toml::whole_file(&block.info) == Some(short) {
            files.insert(usual.clone(), block.text.clone());
        }
        for step in shell::steps(&block) {
            match step {
                shell::Step::File { path, text } => drop(files.insert(path, text)),
                shell::Step::Run(words) => {
                    let name = format!("{}-{}.toml", page.path.replace('/', "-"), found.len());
                    let write = |text: &String| {
                        let path = scratch.write(&name, text).unwrap_or_else(|e| panic!("{e}"));
                        path.to_string_lossy().into_owned()
                    };
                    let file = |path: &str| files.get(path).map(write);
                    let arguments = arguments(&words, program, &usual, file);
                    found.extend(arguments.map(|arguments| (block.place.clone(), arguments)));
                }
            }
        }
    }
    found
}

/// The arguments of a command that can be run, with the file of the page in place of the one it names.
fn arguments(
    words: &[String],
    program: &str,
    usual: &str,
    file: impl Fn(&str) -> Option<String>,
) -> Option<Vec<String>> {
    let (name, rest) = words.split_first()?;
    let command = rest.first()?.as_str();
    if name != program || !["check", "explain", "drop-in"].contains(&command) {
        return None;
    }
    let mut arguments = rest.to_vec();
    let named = arguments.iter().position(|word| word == "-c").map(|at| at + 1);
    let path = file(named.and_then(|at| arguments.get(at)).map_or(usual, String::as_str))?;
    match named {
        Some(at) => arguments[at] = path,
        None => arguments.extend(["-c".to_owned(), path]),
    }
    if command != "drop-in" && !arguments.iter().any(|word| word == "--offline") {
        arguments.push("--offline".to_owned());
    }
    Some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_running_program_is_run_with_the_file_of_its_page() {
        let text = "```sh\neclusa-edge check\n```\n```toml edge\na\n```\n```sh\neclusa-edge check\n\
                    eclusa-edge status\necho b > /b\neclusa-edge explain -c /b --from 192.0.2.1\n\
                    eclusa-apiserver check\neclusa-edge drop-in > /c\n```\n";
        let page = Page { path: "docs/a.md".into(), text: text.into() };
        let scratch = Scratch::new("book-run").unwrap();
        let found = runnable(&page, "eclusa-edge", &scratch);
        let words: Vec<_> = found
            .iter()
            .map(|(_, words)| {
                words.iter().filter(|word| !word.contains(".toml")).cloned().collect()
            })
            .collect::<Vec<Vec<String>>>();
        // The first `check` stands before any file.
        assert_eq!(
            words,
            [
                vec!["check", "-c", "--offline"],
                vec!["explain", "-c", "--from", "192.0.2.1", "--offline"],
                vec!["drop-in", "-c"],
            ]
        );
    }
}
