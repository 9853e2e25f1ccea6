//! Names of fields as h2 takes them. To make one takes a walk through tables, and an allocation where it is not
//! one of the standard's; the same few come again and again, so a thread keeps those that it has made.

use http::header::HeaderName;
use std::cell::RefCell;

/// Names that are kept, and how long they may be: clients can think of many.
const KEPT: usize = 128;
const LENGTH_MAX: usize = 64;
const FACTOR: usize = 39;

/// A name, and how it is written: to compare without regard to case costs more than to keep both forms of one.
type Kept = Option<(Box<[u8]>, HeaderName)>;

thread_local! {
    static NAMES: RefCell<[Kept; KEPT]> = const { RefCell::new([const { None }; KEPT]) };
}

/// The name that is written so, in any case; `None`: it is none.
pub(super) fn name(written: &[u8]) -> Option<HeaderName> {
    if written.len() > LENGTH_MAX {
        return HeaderName::from_bytes(written).ok();
    }
    NAMES.with_borrow_mut(|names| {
        let kept = names.get_mut(place(written))?;
        if let Some((_, name)) = kept.as_ref().filter(|(known, _)| **known == *written) {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(written).ok()?;
        *kept = Some((written.into(), name.clone()));
        Some(name)
    })
}

/// Where a name is kept, if it is: whoever comes later takes the place.
fn place(name: &[u8]) -> usize {
    let length = name.len();
    // Where names that come together differ: `x-forwarded-host`, `-port`. The factor keeps those that are usual
    // apart.
    let letters = [0, length / 2, length.wrapping_sub(4), length.wrapping_sub(1)];
    let sum = letters.into_iter().fold(length, |sum, at| {
        sum.wrapping_mul(FACTOR).wrapping_add(name.get(at).map_or(0, |letter| usize::from(*letter)))
    });
    sum % KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_are_whoever_came_before() {
        let many = (0..1_000).map(|number| format!("X-Name-{number}"));
        let standard = ["Content-Type", "content-type", "CONTENT-LENGTH"].map(String::from);
        let long = "L".repeat(LENGTH_MAX + 1);
        for written in many.chain(standard).chain([long]) {
            for _ in 0..2 {
                let name = name(written.as_bytes()).unwrap();
                assert_eq!(name.as_str(), written.to_ascii_lowercase());
            }
        }
        for none in ["", "a b", "a:", "\u{e9}"] {
            assert_eq!(name(none.as_bytes()), None, "{none:?}");
        }
    }

    #[test]
    fn names_that_come_together_have_places_of_their_own() {
        let together = [
            "content-type",
            "content-length",
            "te",
            "user-agent",
            "accept",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "grpc-timeout",
            "grpc-encoding",
            "grpc-accept-encoding",
            "grpc-status",
            "grpc-message",
            "date",
            "server",
            "cookie",
            "set-cookie",
            "cache-control",
            "etag",
            "accept-encoding",
            "authorization",
        ];
        let places: std::collections::BTreeSet<_> =
            together.iter().map(|name| place(name.as_bytes())).collect();
        assert_eq!(places.len(), together.len());
    }
}
