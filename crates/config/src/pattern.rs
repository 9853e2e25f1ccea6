//! Regular expressions, for the bodies of answers and for what requests say: of bytes, without
//! Unicode's tables, bounded in size, so that none takes long to match.

use crate::diagnostic::quoted;
use crate::plan::BodyPattern;
use crate::values::{Mistake, mistake};
use eclusa_policy::condition::Expression;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

/// Bytes that a pattern may have as written.
const LENGTH_MAX: usize = 1024;
/// Bytes that it may have compiled: at this size the slowest one takes some milliseconds for a body,
/// and a twentieth of that for a head.
const COMPILED_MAX: usize = 64 * 1024;
/// Bytes that matching may take for its cache.
const CACHE_MAX: usize = 1024 * 1024;

/// What the body of an answer must match.
pub(crate) fn body(text: &str) -> Result<BodyPattern, Mistake> {
    if text.is_empty() {
        return mistake("an empty pattern matches every body", "write a pattern, such as '^ok'");
    }
    compiled(text).map(BodyPattern::new)
}

/// What a part of a request must match.
pub(crate) fn expression(text: &str) -> Result<Expression, Mistake> {
    if text.is_empty() {
        return mistake("an empty pattern matches everything", "write a pattern, such as '^/api/'");
    }
    compiled(text).map(Expression::new)
}

fn compiled(text: &str) -> Result<Regex, Mistake> {
    if text.len() > LENGTH_MAX {
        return mistake("the pattern is too long", format!("write at most {LENGTH_MAX} bytes"));
    }
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
    if let Err(error) = parsed {
        return not_a_pattern(text, &error);
    }
    let pattern = RegexBuilder::new(text)
        .unicode(false)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(CACHE_MAX)
        .build();
    pattern.or_else(|_| {
        mistake(
            format!("{} is too large once its repetitions are written out", quoted(text)),
            "write smaller repetitions, or match less",
        )
    })
}

fn not_a_pattern<T>(text: &str, error: &regex_syntax::Error) -> Result<T, Mistake> {
    let (why, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start),
        // There are no others yet.
        _ => return mistake(format!("{} is no regular expression", quoted(text)), "correct it"),
    };
    let place = text.get(..at.offset).map_or(0, |before| before.chars().count()) + 1;
    mistake(
        format!("{} is no regular expression: {why}, at character {place}", quoted(text)),
        "correct it there; a character that stands for itself is written with a backslash before \
         it, as in '\\('",
    )
}
