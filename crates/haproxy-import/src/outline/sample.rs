//! A text that a regular expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Longer ones are not made.
const LENGTH_MAX: usize = 200;

/// A text that matches; `None`: the expression is not understood, or nothing short does.
#[must_use]
pub fn sample(expression: &str) -> Option<String> {
    made(expression, b"a0-")
}

/// A status, 200 to 599, that matches.
#[must_use]
pub fn status(expression: &str) -> Option<u16> {
    let text = made(expression, b"0")?;
    // `^2` is satisfied by 200.
    format!("{text:0<3}").parse().ok().filter(|status| (200..600).contains(status))
}

fn made(expression: &str, liked: &[u8]) -> Option<String> {
    let mut builder = regex_syntax::ParserBuilder::new();
    let hir = builder.unicode(false).utf8(false).build().parse(expression).ok()?;
    let mut out = Vec::new();
    write(&hir, liked, &mut out)?;
    String::from_utf8(out).ok()
}

fn write(hir: &Hir, liked: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if out.len() > LENGTH_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => out.push(of(class, liked)?),
        HirKind::Repetition(repetition) => {
            if repetition.min as usize > LENGTH_MAX {
                return None;
            }
            // One is more telling than none.
            let most = repetition.max.unwrap_or(u32::MAX);
            for _ in 0..repetition.min.max(1).min(most).min(LENGTH_MAX as u32) {
                write(&repetition.sub, liked, out)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, liked, out)?,
        HirKind::Concat(all) => {
            for part in all {
                write(part, liked, out)?;
            }
        }
        HirKind::Alternation(all) => write(all.first()?, liked, out)?,
    }
    Some(())
}

/// A byte of a class: one that is liked, else the first that can stand in a text.
fn of(class: &Class, liked: &[u8]) -> Option<u8> {
    let has = |byte: u8| match class {
        Class::Bytes(class) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&byte))
        }
        Class::Unicode(class) => {
            let char = char::from(byte);
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char))
        }
    };
    liked.iter().copied().chain(b'!'..=b'~').find(|byte| has(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match() {
        for (expression, expected) in [
            ("^/diagnostics/(.+)", Some("/diagnostics/a")),
            ("[oO][kK]", Some("OK")),
            (r"^k[0-9]+\.png$", Some("k0.png")),
            ("a|b", Some("a")),
            ("(?i)y{3}", Some("YYY")),
            ("", Some("")),
            ("(", None),
            ("a{9999}", None),
        ] {
            assert_eq!(sample(expression).as_deref(), expected, "{expression}");
        }
    }

    #[test]
    fn statuses_are_filled_up() {
        for (expression, expected) in [
            ("^2", Some(200)),
            ("^[23]..$", Some(200)),
            ("(2|3)[0-9][0-9]", Some(200)),
            ("^1", None),
        ] {
            assert_eq!(status(expression), expected, "{expression}");
        }
    }
}
