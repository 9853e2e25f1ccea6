//! The TOML of the book, read by the programs' own reader.

use super::pages;
use std::collections::BTreeSet;

/// Which programs a block of TOML is for, and whether it is a whole file.
fn kind(info: &str) -> Option<(&'static [&'static str], bool)> {
    Some(match info {
        "toml edge" => (&["edge"], true),
        "toml apiserver" => (&["apiserver"], true),
        "toml edge fragment" => (&["edge"], false),
        "toml apiserver fragment" => (&["apiserver"], false),
        "toml fragment" => (&["apiserver", "edge"], false),
        _ => return None,
    })
}

/// The name of a program without `eclusa-`, where a block is a whole file of it.
pub(super) fn whole_file(info: &str) -> Option<&'static str> {
    kind(info).filter(|(_, whole)| *whole).map(|(programs, _)| programs[0])
}

/// Holds every TOML of the book that is for `program` (`edge`, `apiserver`) against `read`, which gets
/// the text and whether it is a whole file, and yields what is wrong with it. Fragments are made whole
/// with what they leave out: masters, a listener, the pools that they name.
///
/// # Panics
/// One is wrong or says not what it is, or there is none.
#[track_caller]
pub fn files_are_right(program: &str, read: impl Fn(&str, bool) -> Result<(), String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    for block in pages().iter().flat_map(super::Page::blocks) {
        if !block.info.starts_with("toml") {
            continue;
        }
        let Some((programs, whole)) = kind(&block.info) else {
            let remedy = "write `toml edge`, `toml apiserver` (whole files), `toml edge fragment`, \
                          `toml apiserver fragment`, or `toml fragment` (of both)";
            wrong.push(format!("{}: `{}`: {remedy}", block.place, block.info));
            continue;
        };
        if !programs.contains(&program) {
            continue;
        }
        count += 1;
        let text = if whole { block.text.clone() } else { completed(program, &block.text) };
        if let Err(why) = read(&text, whole) {
            wrong.push(format!("{}: {why}", block.place));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 2, "only {count} files of {program} in the book");
}

/// A fragment with what it leaves out.
fn completed(program: &str, text: &str) -> String {
    if program == "apiserver" {
        let masters = "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\n";
        let has = text.lines().any(|line| line.starts_with("masters = "));
        return if has { text.to_owned() } else { format!("{masters}{text}") };
    }
    let mut text = text.to_owned();
    if !text.contains("[listener.") {
        text += "[listener.any]\nlisten = [\"192.0.2.1:9\"]\npool = \"any\"\n";
    }
    let named = |line: &str| {
        line.strip_prefix("pool = ").map(|name| name.trim().trim_matches('"').to_owned())
    };
    let below = |line: &str| {
        let name = line.strip_prefix("[pool.")?.split_once(['.', ']'])?.0;
        Some(name.to_owned())
    };
    let lines: BTreeSet<String> =
        text.lines().filter_map(|line| named(line).or_else(|| below(line))).collect();
    for name in lines {
        if !text.contains(&format!("[pool.{name}]\n")) {
            text += &format!("[pool.{name}]\nendpoints = [\"10.0.1.100:80\"]\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_get_what_they_leave_out() {
        let masters = completed("apiserver", "workers = 2\n");
        assert!(masters.starts_with("masters = [") && masters.ends_with("]\nworkers = 2\n"));
        let text = "masters = [\"10.0.0.11\"]\n";
        assert_eq!(completed("apiserver", text), text);
        let any = "[listener.any]\nlisten = [\"192.0.2.1:9\"]\npool = \"any\"\n";
        let pool = |name: &str| format!("[pool.{name}]\nendpoints = [\"10.0.1.100:80\"]\n");
        assert_eq!(completed("edge", ""), format!("{any}{}", pool("any")));
        let text = "[listener.a]\npool = \"b\"\n[pool.c.probe]\n[pool.d]\n";
        assert_eq!(completed("edge", text), format!("{text}{}{}", pool("b"), pool("c")));
    }
}
