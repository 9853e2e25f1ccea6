//! TOML as people write it: comments, tables, pairs.

use std::fmt::Write;

/// Longer lists stand on several lines.
const WIDTH: usize = 100;

/// A text that grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Comments, each with its `#`.
    pub(crate) fn comments<'c>(&mut self, comments: impl IntoIterator<Item = &'c String>) {
        for comment in comments {
            let _ = writeln!(self.text, "{comment}");
        }
    }

    /// A comment of our own, cut into lines.
    pub(crate) fn remark(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.len() + word.len() + 1 > WIDTH && line.len() > 1 {
                let _ = writeln!(self.text, "{line}");
                line = String::from("#");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(self.text, "{line}");
    }

    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// `[NAME]`, the parts of the name quoted where that is needed.
    pub(crate) fn table(&mut self, parts: &[&str]) {
        let _ = writeln!(self.text, "[{}]", dotted(parts));
    }

    /// `[[NAME]]`
    pub(crate) fn item(&mut self, parts: &[&str]) {
        let _ = writeln!(self.text, "[[{}]]", dotted(parts));
    }

    pub(crate) fn pair(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{} = {value}", key(name));
    }

    /// Several pairs.
    pub(crate) fn pairs(&mut self, pairs: &[(String, String)]) {
        for (name, value) in pairs {
            self.pair(name, value);
        }
    }

    /// As it is.
    pub(crate) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text, with one line end at its end.
    pub(crate) fn into_text(self) -> String {
        let text = self.text.trim_end();
        if text.is_empty() { String::new() } else { format!("{text}\n") }
    }
}

fn dotted(parts: &[&str]) -> String {
    parts.iter().map(|part| key(part)).collect::<Vec<_>>().join(".")
}

/// A key, in quotes where it needs them.
pub(crate) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { basic(name) }
}

/// A text in quotes: single ones where that spares backslashes.
pub(crate) fn text(value: &str) -> String {
    let plain = !value.contains(|c: char| c == '\'' || c.is_control());
    if plain && value.contains(['\\', '"']) { format!("'{value}'") } else { basic(value) }
}

fn basic(value: &str) -> String {
    let mut quoted = String::from("\"");
    for char in value.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of values that are TOML already.
pub(crate) fn list(values: &[String]) -> String {
    let line = format!("[{}]", values.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    format!("[\n{}]", values.iter().map(|value| format!("    {value},\n")).collect::<String>())
}

/// The same on one line, as inline tables want it.
pub(crate) fn inline_list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

/// A list of texts.
pub(crate) fn texts<T: AsRef<str>>(values: &[T]) -> String {
    list(&values.iter().map(|value| text(value.as_ref())).collect::<Vec<_>>())
}

/// `{ a = 1, b = 2 }`
pub(crate) fn inline(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A duration in the largest unit that it is a whole number of.
pub(crate) fn duration(milliseconds: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    // Hours of a day or two are clearer as such; nothing is gained by "90m" as "1.5h" either.
    let whole = |size: u64| milliseconds > 0 && milliseconds.is_multiple_of(size);
    match units.iter().find(|(size, _)| whole(*size)) {
        Some((size, unit)) => format!("\"{}{unit}\"", milliseconds / size),
        None if milliseconds == 0 => "\"0s\"".to_owned(),
        None => format!("\"{milliseconds}ms\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_quotes_that_spare_backslashes() {
        for (value, expected) in [
            ("plain", "\"plain\""),
            (r"^/a\.b$", r"'^/a\.b$'"),
            ("it's \\", "\"it's \\\\\""),
            ("a\"b", "'a\"b'"),
            ("a\nb\u{1}", "\"a\\nb\\u0001\""),
        ] {
            assert_eq!(text(value), expected);
        }
        assert_eq!(
            (key("a-b_1"), key("a.b"), key("")),
            ("a-b_1".into(), "\"a.b\"".into(), "\"\"".into())
        );
    }

    #[test]
    fn durations_have_the_largest_unit() {
        for (milliseconds, expected) in [
            (0, "\"0s\""),
            (500, "\"500ms\""),
            (5_000, "\"5s\""),
            (90_000, "\"90s\""),
            (3_600_000, "\"1h\""),
            (172_800_000, "\"2d\""),
        ] {
            assert_eq!(duration(milliseconds), expected);
        }
    }

    #[test]
    fn long_lists_stand_on_several_lines() {
        assert_eq!(texts(&["a", "b"]), "[\"a\", \"b\"]");
        let long = "x".repeat(60);
        assert_eq!(texts(&[&long, &long]), format!("[\n    \"{long}\",\n    \"{long}\",\n]"));
    }
}
