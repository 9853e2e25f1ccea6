//! Takes out of texts what the configuration calls secret, and what looks like it, wherever it has got to:
//! into an event that quotes a broken line, a reason that somebody typed, an answer.

use eclusa_config::redact::mark;
use serde_json::Value;

/// Texts that are shorter are no secrets that anybody keeps, and stand everywhere.
const SHORTEST: usize = 6;
/// In place of what stands in a file that holds secrets.
const OF_FILE: &str = "<redacted-file>";
/// In place of what looks like a secret.
const OF_ITS_LOOK: &str = "<redacted>";
/// In place of what a message quotes of a configuration.
const QUOTED: &str = "`<redacted>`";

/// What is to be taken out.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrubber {
    /// Texts with what takes their place, the longest first.
    known: Vec<(String, String)>,
}

impl Scrubber {
    /// `left_out`: of the configuration; `files`: the contents of files that hold secrets.
    pub(super) fn new(left_out: &[String], files: &[Vec<u8>]) -> Self {
        let of_text = left_out.iter().enumerate().flat_map(|(index, text)| {
            let parts = text.lines().map(str::trim).chain([text.as_str()]);
            parts.map(move |part| (part.to_owned(), mark(index))).collect::<Vec<_>>()
        });
        let of_files = files.iter().flat_map(|bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
            // A line of users has the hash behind a name.
            let parts =
                lines.flat_map(|line| [Some(line), line.split_once(':').map(|(_, hash)| hash)]);
            parts.flatten().map(|part| (part.to_owned(), OF_FILE.to_owned())).collect::<Vec<_>>()
        });
        let mut known: Vec<_> = of_text.chain(of_files).collect();
        known.retain(|(text, _)| text.len() >= SHORTEST);
        known.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
        known.dedup_by(|(one, _), (other, _)| one == other);
        Self { known }
    }

    /// A text without them.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = if has_position(text) { unquoted(text) } else { text.to_owned() };
        for (secret, instead) in &self.known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), instead);
            }
        }
        without_keys(&without_hashes(&text))
    }

    /// All texts of a value without them.
    pub(super) fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, self.json(value))).collect()
            }
            other => other,
        }
    }
}

/// Whether a place in a file stands in it, `:12:3: `: then it may quote what is written there.
fn has_position(text: &str) -> bool {
    text.split(": ").any(|part| {
        let mut numbers = part.rsplit(':');
        let mut is_number = || {
            numbers
                .next()
                .is_some_and(|it| !it.is_empty() && it.bytes().all(|c| c.is_ascii_digit()))
        };
        is_number() && is_number()
    })
}

/// A message about a file without the lines of it that it shows and the words of it that it quotes.
fn unquoted(text: &str) -> String {
    let is_shown = |line: &str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        line.trim_start().starts_with('|')
    };
    let lines: Vec<_> = text.lines().filter(|line| !is_shown(line)).collect();
    let mut out = String::new();
    for (index, part) in lines.join("\n").split('`').enumerate() {
        out.push_str(if index % 2 == 1 { QUOTED } else { part });
    }
    out
}

/// Without what looks like the hash of a password (`$2y$...`, crypt(5)) or stands behind `Bearer` or
/// `Basic`, and names and passwords in URLs.
fn without_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_scheme = false;
    let is_end = |c: char| c.is_whitespace() || "\"'`,;".contains(c);
    for word in text.split_inclusive(is_end) {
        let (bare, end) = word.split_at(word.trim_end_matches(is_end).len());
        let hash = bare.find('$').filter(|at| is_hash(&bare[*at..]));
        if after_scheme && bare.len() >= SHORTEST {
            out.push_str(OF_ITS_LOOK);
        } else if let Some(at) = hash {
            out.push_str(&bare[..at]);
            out.push_str(OF_ITS_LOOK);
        } else if let (Some((scheme, rest)), true) = (bare.split_once("://"), bare.contains('@')) {
            let host = rest.rsplit('@').next().unwrap_or_default();
            out.push_str(&format!("{scheme}://{OF_ITS_LOOK}@{host}"));
        } else {
            out.push_str(bare);
        }
        if !bare.is_empty() {
            after_scheme = ["bearer", "basic"].iter().any(|it| bare.eq_ignore_ascii_case(it));
        }
        out.push_str(end);
    }
    out
}

fn is_hash(text: &str) -> bool {
    let mut parts = text.split('$').skip(1);
    let scheme = parts.next().unwrap_or_default();
    let short =
        (1..=6).contains(&scheme.len()) && scheme.bytes().all(|c| c.is_ascii_alphanumeric());
    short && parts.next().is_some_and(|rest| !rest.is_empty())
}

/// Without private keys as PEM.
fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("-----BEGIN ") {
        let (before, from) = rest.split_at(at);
        let end = from.find("-----END ").and_then(|end| {
            let line = from.get(end + 9..)?.find("-----")?;
            Some(end + 9 + line + 5)
        });
        let end = end.unwrap_or(from.len());
        out.push_str(before);
        let head: String = from.chars().take(60).collect();
        match head.contains("PRIVATE KEY") {
            true => out.push_str(OF_ITS_LOOK),
            false => out.push_str(&from[..end]),
        }
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_goes_wherever_it_stands() {
        let left_out = ["Bearer s3same-open".to_owned(), "blue".to_owned()];
        let files = [b"alice:$2y$10$hash\n".to_vec(), b"tok3n-of-a-probe\n".to_vec()];
        let scrubber = Scrubber::new(&left_out, &files);
        assert_eq!(scrubber.text("sent Bearer s3same-open on"), "sent <redacted-1> on");
        assert_eq!(scrubber.text("blue"), "blue", "too short to be one");
        assert_eq!(scrubber.text("x tok3n-of-a-probe y"), "x <redacted-file> y");
        let value =
            serde_json::json!({ "a": ["tok3n-of-a-probe"], "b": 1, "c": { "d": "$2y$10$hash" } });
        let expected = serde_json::json!({ "a": ["<redacted-file>"], "b": 1, "c": { "d": "<redacted-file>" } });
        assert_eq!(scrubber.json(value), expected);
    }

    #[test]
    fn what_looks_like_a_secret_goes() {
        let scrubber = Scrubber::default();
        let text = |text: &str| scrubber.text(text);
        assert_eq!(text("users: alice:$2y$10$abc, bob"), "users: alice:<redacted>, bob");
        assert_eq!(text("authorization: bearer abcdef.ghi"), "authorization: bearer <redacted>");
        assert_eq!(text("to https://ana:sesame@host:9/x"), "to https://<redacted>@host:9/x");
        let key = "a\n-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\nb";
        assert_eq!(text(key), "a\n<redacted>\nb");
        assert_eq!(text("-----BEGIN PRIVATE KEY-----\nMIIB"), "<redacted>");
        for plain in ["it costs $5", "10.0.0.11:6443 is up", "basic words", "a@b.test"] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn a_message_about_a_file_quotes_nothing_of_it() {
        let told = "reload refused: /etc/a.toml:12:9: error: unknown user `bob:hash`\n   |\n\
                    12 | users = [\"bob:hash\"]\n   |          ^^^\n  remedy:   write it as `htpasswd` does";
        let expected = "reload refused: /etc/a.toml:12:9: error: unknown user `<redacted>`\n  \
                        remedy:   write it as `<redacted>` does";
        assert_eq!(Scrubber::default().text(told), expected);
        let other = "pool `web` is up: 10:20 left";
        assert_eq!(Scrubber::default().text(other), other);
    }
}
