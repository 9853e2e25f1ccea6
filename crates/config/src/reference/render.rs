//! The table of keys as a page: `docs/configuration.md`.

use super::{Default, Key, Section, walk};
use crate::plan::Program;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

<!-- Printed from the table of keys in crates/config/src/reference; `BLESS=1 cargo test -p \
eclusa-config` prints it again. -->

Both programs read one TOML file: `/etc/eclusa/apiserver.toml` and `/etc/eclusa/edge.toml`, or what \
`-c FILE` names. `check -c FILE` tells of every mistake at once, with its place and a remedy, and \
ends with exit code 2 if there is one; `check --offline` leaves out what depends on the host: files, \
addresses, names. Files to begin with are in `config/`.

- Durations are texts of a number and a unit: `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"2d\"`.
- Networks are written `\"10.0.0.0/22\"`, with no bit set behind the prefix; an address alone is a \
network of one. IPv6 addresses with a port stand in brackets: `\"[fd00::1]:6443\"`.
- Where a list is wanted a single item may stand without brackets.
- An unknown key is an error.
";

/// The whole page.
#[must_use]
pub fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    for program in [Program::Apiserver, Program::Edge] {
        let _ = write!(page, "\n## {}\n", program.name());
        walk(program, &mut |path, section| render_section(&mut page, program, path, section));
    }
    page
}

fn render_section(page: &mut String, program: Program, path: &str, section: &'static Section) {
    let title = match path {
        "" => "Top level".to_owned(),
        path => format!("`{path}`"),
    };
    let _ = write!(page, "\n### {title}\n\n{}\n\n", section.help);
    page.push_str("| key | value | default | |\n|---|---|---|---|\n");
    for key in section.keys {
        let kind = key.kind.describe();
        let default = default_of(key, program);
        let _ = writeln!(page, "| `{}` | {kind} | {default} | {} |", key.name, key.help);
    }
}

/// What holds when a key is left out, in Markdown.
pub(super) fn default_of(key: &Key, program: Program) -> String {
    match (key.default, key.default.value(program)) {
        (_, Some(value)) => format!("`{value}`"),
        (Default::Words(words) | Default::EdgeInWords { edge: words, .. }, None) => {
            words.to_owned()
        }
        _ => "required".to_owned(),
    }
}
