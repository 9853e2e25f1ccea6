//! The rows of the tables beside this file. Each is a line: what is expected, a name, the bytes.

use std::collections::HashSet;

/// A row.
pub struct Row {
    pub expected: String,
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Reads a table; lines that are empty or begin with `#` are for readers.
pub fn rows(text: &'static str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows: Vec<_> = lines.map(row).collect();
    let names: HashSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");
    rows
}

fn row(line: &'static str) -> Row {
    let mut parts = line.splitn(3, " | ");
    let mut part = || parts.next().unwrap_or_else(|| panic!("three parts: {line}"));
    let (expected, name, bytes) = (part(), part(), part());
    let expected = String::from_utf8(unescape(expected)).unwrap();
    Row { expected, name, bytes: unescape(bytes) }
}

/// Takes `\r`, `\n`, `\t`, `\0`, `\\`, `\"`, `\xNN` and `\{TEXT*COUNT}` for what they mean.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (first, after) = escape.split_at(1);
        rest = after;
        match first {
            "r" => bytes.push(b'\r'),
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "0" => bytes.push(0),
            "\\" | "\"" => bytes.extend_from_slice(first.as_bytes()),
            "x" => {
                let (digits, after) = after.split_at(2);
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            "{" => {
                let (repeated, after) = after.split_once('}').unwrap();
                let (text, count) = repeated.rsplit_once('*').unwrap();
                bytes.extend(unescape(text).repeat(count.parse().unwrap()));
                rest = after;
            }
            other => panic!("no escape: \\{other} in {text}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
