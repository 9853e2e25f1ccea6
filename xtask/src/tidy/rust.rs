//! Just enough of Rust's lexical grammar: code apart from comments and literals.

/// A source file taken apart. Lines are counted from 1.
pub struct Source {
    /// The text with comments and the insides of literals blanked; lines keep their numbers.
    pub code: String,
    /// Identifiers, numbers and single punctuation characters.
    pub tokens: Vec<Token>,
}

/// A word or a punctuation character of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where.
    pub line: usize,
    /// As written.
    pub text: String,
}

impl Source {
    /// Takes `text` apart. Text that is not Rust yields something, never a panic.
    pub fn new(text: &str) -> Self {
        let mut scanner = Scanner {
            text: text.chars().collect(),
            at: 0,
            code: String::with_capacity(text.len()),
        };
        scanner.run();
        let tokens = tokens(&scanner.code);
        Self { code: scanner.code, tokens }
    }

    /// The number of lines before the unit tests at the end of the file.
    pub fn lines_before_tests(&self) -> usize {
        let lines: Vec<_> = self.code.lines().collect();
        let is_tests = |&index: &usize| {
            lines[index].trim() == "#[cfg(test)]"
                && lines[index + 1..]
                    .iter()
                    .find(|line| !line.trim().starts_with("#["))
                    .is_some_and(|line| line.trim_start().starts_with("mod "))
        };
        (0..lines.len()).find(is_tests).unwrap_or(lines.len())
    }

    /// The tokens before the unit tests.
    pub fn product_tokens(&self) -> &[Token] {
        let last = self.lines_before_tests();
        let end = self.tokens.partition_point(|token| token.line <= last);
        &self.tokens[..end]
    }
}

struct Scanner {
    text: Vec<char>,
    at: usize,
    code: String,
}

impl Scanner {
    fn run(&mut self) {
        while let Some(char) = self.peek(0) {
            match (char, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r' | 'b' | 'c', _) if !self.inside_word() && self.raw_hashes().is_some() => {
                    self.raw_string();
                }
                ('\'', _) => self.quote(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    /// Passes one character on to the code.
    fn keep(&mut self) {
        if let Some(char) = self.peek(0) {
            self.code.push(char);
            self.at += 1;
        }
    }

    /// Passes `count` characters, as blanks.
    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            let Some(char) = self.peek(0) else { return };
            self.code.push(if char == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn inside_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.text.get(at));
        before.is_some_and(|char| char.is_alphanumeric() || *char == '_')
    }

    fn line_comment(&mut self) {
        let length = self.text[self.at..].iter().take_while(|char| **char != '\n').count();
        self.blank(length);
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            let step = match (self.peek(0), self.peek(1)) {
                (None, _) => return,
                (Some('/'), Some('*')) => {
                    depth += 1;
                    2
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    2
                }
                (Some(_), _) => 1,
            };
            self.blank(step);
            if depth == 0 {
                return;
            }
        }
    }

    /// A string with escapes; its quotes stay, so that the code keeps its shape.
    fn string(&mut self) {
        self.keep();
        while let Some(char) = self.peek(0) {
            match char {
                '\\' => self.blank(2),
                '"' => return self.keep(),
                _ => self.blank(1),
            }
        }
    }

    /// At `r"`, `br##"` and the like: how many characters there are before the quote.
    fn raw_hashes(&self) -> Option<(usize, usize)> {
        let prefix = match (self.peek(0)?, self.peek(1)?) {
            ('r', _) => 1,
            ('b' | 'c', 'r') => 2,
            _ => return None,
        };
        let rest = self.text.get(self.at + prefix..)?;
        let hashes = rest.iter().take_while(|char| **char == '#').count();
        (rest.get(hashes) == Some(&'"')).then_some((prefix, hashes))
    }

    fn raw_string(&mut self) {
        let Some((prefix, hashes)) = self.raw_hashes() else { return };
        self.blank(prefix + hashes);
        self.keep();
        while let Some(char) = self.peek(0) {
            let ends = char == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if ends {
                self.keep();
                return self.blank(hashes);
            }
            self.blank(1);
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        let is_literal = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.keep();
        if !is_literal {
            return;
        }
        // The escaped or plain character, then what is left of an escape such as `\u{e9}`.
        self.blank(if self.peek(0) == Some('\\') { 2 } else { 1 });
        while self.peek(0).is_some_and(|char| char != '\'' && char != '\n') {
            self.blank(1);
        }
        self.keep();
    }
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut word = String::new();
        for char in line.chars().chain([' ']) {
            if char.is_alphanumeric() || char == '_' {
                word.push(char);
                continue;
            }
            if !word.is_empty() {
                tokens.push(Token { line: index + 1, text: std::mem::take(&mut word) });
            }
            if !char.is_whitespace() {
                tokens.push(Token { line: index + 1, text: char.into() });
            }
        }
    }
    tokens
}

/// Where `pattern`, a sequence of tokens such as `["std", ":", ":", "fs"]`, begins.
pub fn find<'a>(tokens: &'a [Token], pattern: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let matches = move |window: &[Token]| window.iter().zip(pattern).all(|(a, b)| a.text == *b);
    let windows = tokens.windows(pattern.len()).enumerate();
    windows.filter(move |(_, window)| matches(window)).map(|(index, _)| index)
}

/// The index of the token that closes the bracket at `open`.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Source::new(text).tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        assert_eq!(words("a // b\nc"), ["a", "c"]);
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(words(r#"f("b \" { c")"#), ["f", "(", "\"", "\"", ")"]);
        assert_eq!(words(r###"f(r#"b " {"#, br"{", c"{")"###).join(""), r#"f("","",c"")"#);
        assert_eq!(words(r"['{', '\'', '\u{7b}', b'{']").join(""), "['','','',b'']");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_eq!(words("&'a str"), ["&", "'", "a", "str"]);
        assert_eq!(words("fn r#type<'a>()").join(""), "fnr#type<'a>()");
        assert_eq!(words("'static, 'b'"), ["'", "static", ",", "'", "'"]);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = Source::new("/* one\ntwo */ a\n\"b\nc\" d // e");
        assert_eq!(source.code.lines().count(), 4);
        assert_eq!(
            source.tokens.last().map(|token| (token.line, token.text.as_str())),
            Some((4, "d"))
        );
    }

    #[test]
    fn tests_at_the_end_are_apart() {
        let source = Source::new("fn a() {}\n\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests {}\n");
        assert_eq!(source.lines_before_tests(), 2);
        assert_eq!(source.product_tokens().len(), 6);
        assert_eq!(Source::new("#[cfg(test)]\nfn a() {}\n").lines_before_tests(), 2);
    }

    #[test]
    fn broken_text_ends() {
        for text in ["\"", "/*", "'", "r#\"", "'\\", "b", "r#", "*/", "\\"] {
            let _ = Source::new(text);
        }
    }
}
