//! Numbers that criteria are compared with: `gt 100`, `ge 1`, `2:5` (HAProxy's configuration manual,
//! section 7.1.2).

use crate::model::acl::Criterion;
use crate::when::When;

/// From the first number to the last; `None`: without end.
pub(super) type Range = (u64, Option<u64>);

/// What a criterion accepts.
///
/// # Errors
/// Something is no number.
pub(super) fn ranges(criterion: &Criterion) -> Result<Vec<Range>, String> {
    let plain = criterion.converters.is_empty() && criterion.files.is_empty();
    if !plain || !matches!(criterion.matching.as_deref(), None | Some("int")) {
        return Err(format!("`{}` can be compared with numbers alone", criterion.fetch));
    }
    let (mut how, mut ranges) = ("eq", Vec::new());
    for text in &criterion.patterns {
        if ["eq", "ge", "gt", "le", "lt"].contains(&text.as_str()) {
            how = text;
            continue;
        }
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| format!("`{text}` is no number that can be asked"))
        };
        ranges.push(match (how, text.split_once(':')) {
            ("eq", Some(("", last))) => (0, Some(number(last)?)),
            ("eq", Some((first, ""))) => (number(first)?, None),
            ("eq", Some((first, last))) => (number(first)?, Some(number(last)?)),
            ("ge", None) => (number(text)?, None),
            ("gt", None) => (number(text)?.saturating_add(1), None),
            ("le", None) => (0, Some(number(text)?)),
            ("lt", None) => match number(text)?.checked_sub(1) {
                Some(last) => (0, Some(last)),
                // Nothing is less than 0.
                None => continue,
            },
            (_, None) => (number(text)?, Some(number(text)?)),
            (_, Some(_)) => return Err(format!("`{how} {text}` can be asked by neither")),
        });
    }
    if criterion.patterns.is_empty() { Err("nothing is compared".to_owned()) } else { Ok(ranges) }
}

/// That a number lies in one of the ranges, where `least` says that it is at least so much; never asked
/// for 0.
pub(super) fn any(ranges: &[Range], least: impl Fn(u64) -> When) -> When {
    let from = |first: u64| if first == 0 { When::Always } else { least(first) };
    let within = |(first, last): &Range| {
        let below = last.map_or(When::Always, |last| from(last.saturating_add(1)).negated());
        When::all([from(*first), below])
    };
    When::any(ranges.iter().map(within))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Range>, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        ranges(&Criterion::read(&words).unwrap())
    }

    #[test]
    fn numbers_have_operators_and_ranges() {
        for (text, expected) in [
            ("nbsrv(a) ge 1", vec![(1, None)]),
            ("nbsrv(a) gt 0", vec![(1, None)]),
            ("nbsrv(a) lt 2", vec![(0, Some(1))]),
            ("nbsrv(a) lt 0", vec![]),
            ("nbsrv(a) le 2", vec![(0, Some(2))]),
            ("nbsrv(a) 0 2", vec![(0, Some(0)), (2, Some(2))]),
            ("nbsrv(a) -m int eq 1:3", vec![(1, Some(3))]),
            ("nbsrv(a) 4:", vec![(4, None)]),
        ] {
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        for wrong in
            ["nbsrv(a)", "nbsrv(a) x", "nbsrv(a) gt 1:2", "nbsrv(a),add(1) 2", "nbsrv(a) -m str 1"]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn they_become_what_is_at_least_so_much() {
        let least = |number: u64| When::texts("host", vec![number.to_string()]);
        assert_eq!(any(&[(1, None)], least), least(1));
        assert_eq!(any(&[(0, Some(0))], least), least(1).negated());
        assert_eq!(any(&[(0, None)], least), When::Always);
        assert_eq!(any(&[], least), When::Never);
        assert_eq!(any(&[(2, Some(3))], least), When::all([least(2), least(4).negated()]));
    }
}
