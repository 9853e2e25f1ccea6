//! A line of haproxy.cfg into words: blanks, quotes, backslashes, environment variables, comments, as
//! HAProxy's configuration manual says in sections 2.2 and 2.3. A backslash at the end of a line joins
//! nothing: HAProxy knows no continued lines.

use std::iter::Peekable;
use std::str::Chars;

/// What a variable of the environment, or one of HAProxy's own (`.FILE`, `.LINE`), stands for.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What variables may bring into a line, in bytes.
const BROUGHT_MAX: usize = 64 << 10;

/// What is said of a line with more: `setenv A "$A$A"` some times over has no end.
pub const TOO_LONG: &str = "its variables bring more than 64 KiB into it: it is not read";

/// A line, cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexed {
    /// The words, without quotes and escapes.
    pub words: Vec<String>,
    /// What stands behind `#`, without blanks around it; `None`: there is no `#`.
    pub comment: Option<String>,
}

/// Cuts a line.
///
/// # Errors
/// What HAProxy would refuse: a quote or brace that is not closed, a wrong `\x`; or [`TOO_LONG`].
pub fn lex(line: &str, variables: Variables<'_>) -> Result<Lexed, String> {
    let mut lexer = Lexer {
        chars: line.chars().peekable(),
        words: Vec::new(),
        word: String::new(),
        begun: false,
        brought: 0,
        variables,
    };
    let comment = lexer.run()?;
    Ok(Lexed { words: lexer.words, comment })
}

/// Replaces variables in a word that is no text in double quotes: addresses have them, too.
///
/// # Errors
/// As [`lex`].
pub fn expanded(word: &str, variables: Variables<'_>) -> Result<String, String> {
    if !word.contains('$') {
        return Ok(word.to_owned());
    }
    let mut lexer = Lexer {
        chars: word.chars().peekable(),
        words: Vec::new(),
        word: String::new(),
        begun: false,
        brought: 0,
        variables,
    };
    while let Some(char) = lexer.chars.next() {
        match char {
            '$' => lexer.variable()?,
            _ => lexer.word.push(char),
        }
    }
    Ok(lexer.word)
}

struct Lexer<'l> {
    chars: Peekable<Chars<'l>>,
    words: Vec<String>,
    word: String,
    /// Whether a word has begun; one of nothing but quotes is there, too.
    begun: bool,
    /// What variables have brought so far.
    brought: usize,
    variables: Variables<'l>,
}

impl Lexer<'_> {
    /// The comment, when all words are cut.
    fn run(&mut self) -> Result<Option<String>, String> {
        let mut quote = None;
        while let Some(char) = self.chars.next() {
            match (quote, char) {
                (None, ' ' | '\t'..='\r') => self.end(),
                (None, '#') => {
                    self.end();
                    let rest: String = self.chars.by_ref().collect();
                    return Ok(Some(rest.trim().to_owned()));
                }
                (None, '"' | '\'') => (quote, self.begun) = (Some(char), true),
                (Some(open), close) if open == close => quote = None,
                (Some('"') | None, '\\') => self.escape(quote)?,
                (Some('"'), '$') => self.variable()?,
                _ => self.push(char),
            }
        }
        if let Some(quote) = quote {
            return Err(format!("the quote {quote} has no end"));
        }
        self.end();
        Ok(None)
    }

    fn push(&mut self, char: char) {
        self.word.push(char);
        self.begun = true;
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    /// What stands behind a backslash. One that escapes nothing stays.
    fn escape(&mut self, quote: Option<char>) -> Result<(), String> {
        let Some(next) = self.chars.peek().copied() else {
            self.push('\\');
            return Ok(());
        };
        let meant = match next {
            ' ' | '\t' | '\\' | '#' | '"' | '\'' => next,
            '$' if quote.is_some() => next,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => {
                self.chars.next();
                let digits: String = self.chars.by_ref().take(2).collect();
                let code = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2);
                self.push(code.ok_or("`\\x` wants two hexadecimal digits")?.into());
                return Ok(());
            }
            _ => {
                self.push('\\');
                return Ok(());
            }
        };
        self.chars.next();
        self.push(meant);
        Ok(())
    }

    /// `NAME`, `{NAME}`, `{NAME-usual}`, `{NAME[*]}` behind a dollar.
    fn variable(&mut self) -> Result<(), String> {
        self.begun = true;
        let braced = self.chars.next_if_eq(&'{').is_some();
        let mut name = String::new();
        name.extend(self.chars.next_if_eq(&'.'));
        while let Some(char) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(char);
        }
        if name.is_empty() {
            return Err("a `$` without the name of a variable".to_owned());
        }
        let value = (self.variables)(&name);
        self.brought += value.as_ref().map_or(0, String::len);
        if self.brought > BROUGHT_MAX {
            return Err(TOO_LONG.to_owned());
        }
        if !braced {
            self.word.push_str(&value.unwrap_or_default());
            return Ok(());
        }
        let mut several = false;
        if self.chars.next_if_eq(&'[').is_some() {
            several = self.chars.next() == Some('*') && self.chars.next() == Some(']');
            if !several {
                return Err(format!("`${{{name}[` is not followed by `*]`"));
            }
        }
        let mut usual = None;
        if self.chars.next_if_eq(&'-').is_some() {
            let text = usual.get_or_insert_with(String::new);
            while let Some(char) = self.chars.next_if(|c| *c != '}') {
                text.push(char);
            }
        }
        if self.chars.next() != Some('}') {
            return Err(format!("`${{{name}` has no `}}`"));
        }
        let value = value.or(usual).unwrap_or_default();
        if !several {
            self.word.push_str(&value);
            return Ok(());
        }
        for (index, part) in value.split_whitespace().enumerate() {
            if index > 0 {
                self.end();
            }
            part.chars().for_each(|char| self.push(char));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            "LIST" => Some("a b  c".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn words(line: &str) -> Vec<String> {
        lex(line, &variables).unwrap().words
    }

    #[test]
    fn words_are_cut_as_the_manual_says() {
        for (line, expected) in [
            ("  bind  *:80\t# web", vec!["bind", "*:80"]),
            (r"a\ b \# \\ \' \q", vec!["a b", "#", r"\", "'", r"\q"]),
            (r#""a b" 'c # d' "it's" '"'"#, vec!["a b", "c # d", "it's", "\""]),
            (r"GET\ /\ HTTP/1.1\r\nHost:\ x", vec!["GET / HTTP/1.1\r\nHost: x"]),
            (r"\x41\x0a", vec!["A\n"]),
            (r#""$A" $A "\$A" '$A' "x${A}y""#, vec!["one", "$A", "$A", "$A", "xoney"]),
            (r#""${NONE-two}" "${A-two}" "${EMPTY-x}" "${NONE}""#, vec!["two", "one", "", ""]),
            (r#"x"${LIST[*]}"y"#, vec!["xa", "b", "cy"]),
            (r#""%{+Q}o %t"' %s %{-Q}r'"#, vec!["%{+Q}o %t %s %{-Q}r"]),
            ("a#b", vec!["a"]),
            ("timeout client 5s \\", vec!["timeout", "client", "5s", "\\"]),
            ("", vec![]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn comments_are_kept() {
        let comment = |line: &str| lex(line, &variables).unwrap().comment;
        assert_eq!(comment("a # b # c "), Some("b # c".into()));
        assert_eq!(comment("#"), Some(String::new()));
        assert_eq!(comment(r"a \# b"), None);
    }

    #[test]
    fn what_is_not_closed_is_told() {
        for (line, words) in [
            ("log \"a", "has no end"),
            ("log 'a", "has no end"),
            ("log \"${A\"", "has no `}`"),
            ("log \"$\"", "without the name"),
            ("log \"${LIST[1]}\"", "is not followed"),
            (r"\x4", "hexadecimal"),
            (r"\xzz", "hexadecimal"),
        ] {
            let error = lex(line, &variables).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn addresses_have_variables_without_quotes() {
        assert_eq!(expanded("$A:80", &variables).unwrap(), "one:80");
        assert_eq!(expanded("*:80", &variables).unwrap(), "*:80");
    }
}
