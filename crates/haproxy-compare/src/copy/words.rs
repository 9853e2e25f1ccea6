//! Words as a line of haproxy.cfg.

use std::fmt::Write;

/// The line that HAProxy cuts into these words again.
pub(super) fn line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|it| word(it)).collect();
    words.join(" ")
}

fn word(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let mut out = String::new();
    for char in text.chars() {
        match char {
            ' ' | '#' | '\\' | '"' | '\'' => {
                out.push('\\');
                out.push(char);
            }
            char if char.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_haproxy_import::lexer::lex;

    #[test]
    fn lines_are_cut_into_the_same_words() {
        let words: Vec<String> =
            ["a", "", "b c", "\"q\"", "it's", "x\\y", "#1", "a\r\nb", "%[src]", "$x", "ü"]
                .map(str::to_owned)
                .to_vec();
        assert_eq!(lex(&line(&words), &|_| None).unwrap().words, words);
    }
}
