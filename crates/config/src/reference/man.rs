//! The table of keys as a manual page of section 5: `packaging/man/eclusa-edge.toml.5`.

use super::render::default_of;
use super::{Section, walk};
use crate::plan::Program;
use std::fmt::Write;

/// The whole page, in the macros of man(7).
#[must_use]
pub fn man(program: Program, version: &str) -> String {
    let (name, file) = (program.name(), program.default_file());
    let mut page = format!(
        ".\\\" Printed from the table of keys in crates/config/src/reference.\n\
         .TH {name}.toml 5 \"\" \"{name} {version}\" \"Configuration\"\n\
         .SH NAME\n{name}.toml \\- configuration of {name}\n\
         .SH SYNOPSIS\n{file}\n\
         .SH DESCRIPTION\n"
    );
    for paragraph in DESCRIPTION {
        let _ = write!(page, ".PP\n{}\n", inline(paragraph));
    }
    let _ = write!(page, ".PP\n{}\n", inline(&check_words(program)));
    walk(program, &mut |path, section| of_section(&mut page, program, path, section));
    let _ = write!(
        page,
        ".SH FILES\n.TP\n{file}\nthe file that is read without \\fB\\-c\\fR\n\
         .TP\n/usr/share/doc/{name}/examples\nfiles to begin with\n\
         .SH SEE ALSO\n\\fB{name}\\fR(8)\n"
    );
    page
}

/// What all values have in common.
const DESCRIPTION: [&str; 5] = [
    "The file is TOML. An unknown key is an error. Where a list is wanted a single item may stand \
     without brackets.",
    "Durations are texts of a number and a unit: `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"2d\"`.",
    "Sizes are texts of a number and a unit: `\"512B\"`, `\"32KiB\"`, `\"1MiB\"`, `\"1GiB\"`.",
    "Networks are written `\"10.0.0.0/22\"`, with no bit set behind the prefix; an address alone is a \
     network of one.",
    "IPv6 addresses with a port stand in brackets: `\"[fd00::1]:6443\"`.",
];

fn check_words(program: Program) -> String {
    format!(
        "`{} check -c FILE` tells of every mistake at once, with its place and a remedy.",
        program.name()
    )
}

fn of_section(page: &mut String, program: Program, path: &str, section: &'static Section) {
    let title = if path.is_empty() { "TOP LEVEL".to_owned() } else { path.to_owned() };
    let _ = write!(page, ".SH {}\n{}\n", escaped(&title), inline(section.help));
    for key in section.keys {
        let _ = write!(
            page,
            ".TP\n\\fB{}\\fR\n{}\n.br\nValue: {}.\n.br\nDefault: {}.\n",
            escaped(key.name),
            inline(key.help),
            inline(&key.kind.describe()),
            inline(&default_of(key, program)),
        );
    }
}

/// Text of the table: what stands between backquotes is bold.
fn inline(text: &str) -> String {
    let mut parts = text.split('`');
    let mut line = parts.next().map(escaped).unwrap_or_default();
    for (index, part) in parts.enumerate() {
        line += if index.is_multiple_of(2) { "\\fB" } else { "\\fR" };
        line += &escaped(part);
    }
    // A line that begins with one of these would be taken for a request.
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

/// Text as roff takes it literally: backslashes, and hyphens, quotes and the like that a page would
/// otherwise show as typographic ones, which nobody can paste into a file.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped += "\\e",
            '-' => escaped += "\\-",
            '\'' => escaped += "\\(aq",
            '^' => escaped += "\\(ha",
            '~' => escaped += "\\(ti",
            '\n' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_table_is_taken_literally() {
        assert_eq!(inline("a `b-c` d"), "a \\fBb\\-c\\fR d");
        assert_eq!(inline(".x"), "\\&.x");
        assert_eq!(inline("`'^ok\\d'`"), "\\fB\\(aq\\(haok\\ed\\(aq\\fR");
    }
}
