//! The time of a line.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-02-06T12:14:14`
type Second = [u8; 19];

thread_local! {
    /// The second that was written last: lines come in crowds.
    static LAST: Cell<(u64, Second)> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Appends a moment in UTC, to the millisecond (RFC 3339); the first second of 1970 for one before it.
pub(super) fn rfc3339(out: &mut Vec<u8>, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (known, mut second) = LAST.get();
    if known != since.as_secs() {
        let shown = humantime::format_rfc3339_seconds(at).to_string();
        if let Some((shown, _)) = shown.as_bytes().split_first_chunk() {
            second = *shown;
            LAST.set((since.as_secs(), second));
        }
    }
    let (milliseconds, digit) = (since.subsec_millis(), |digit: u32| b'0' + (digit % 10) as u8);
    out.extend_from_slice(&second);
    let places = [milliseconds / 100, milliseconds / 10, milliseconds].map(digit);
    out.extend_from_slice(&[b'.', places[0], places[1], places[2], b'Z']);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_written_as_a_library_writes_it() {
        for milliseconds in
            [0, 7, 42_999, 43_000, 951_782_400_123, 1_719_835_200_010, 4_102_444_799_999]
        {
            let at = UNIX_EPOCH + Duration::from_millis(milliseconds);
            let mut out = Vec::new();
            rfc3339(&mut out, at);
            let expected = humantime::format_rfc3339_millis(at).to_string();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
