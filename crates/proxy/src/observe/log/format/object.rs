//! A JSON object written field by field, for lines that are too many for a general serializer.

use super::clean::{OneLine, is_plain};
use serde::Serialize;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// An object under way. Nothing that is written to it can break the line.
pub(in crate::observe) struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// The next field is the first of its object.
    first: bool,
}

impl<'a> Object<'a> {
    /// Goes on in `out` behind the fields that are there.
    pub(super) fn behind(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: false }
    }

    /// A field with a text.
    pub(in crate::observe) fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        if is_plain(text) && !text.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
            return;
        }
        let mut serializer = serde_json::Serializer::with_formatter(&mut *self.out, OneLine);
        // Neither a text nor writing to memory fails.
        let _ = text.serialize(&mut serializer);
    }

    /// A field with an address and port.
    pub(in crate::observe) fn address(&mut self, name: &'static str, address: SocketAddr) {
        self.name(name);
        self.out.push(b'"');
        if let SocketAddr::V4(v4) = address {
            for (index, part) in v4.ip().octets().into_iter().enumerate() {
                self.digits(part.into());
                self.out.push(if index < 3 { b'.' } else { b':' });
            }
            self.digits(v4.port().into());
        } else {
            let _ = write!(self.out, "{address}");
        }
        self.out.push(b'"');
    }

    /// A field with a number.
    pub(in crate::observe) fn number(&mut self, name: &'static str, number: u64) {
        self.name(name);
        self.digits(number);
    }

    /// A field with `true` or `false`.
    pub(in crate::observe) fn truth(&mut self, name: &'static str, truth: bool) {
        self.name(name);
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    /// A field with milliseconds, to the microsecond.
    pub(in crate::observe) fn milliseconds(&mut self, name: &'static str, time: Duration) {
        self.name(name);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let microseconds = nanoseconds.saturating_add(500) / 1000;
        self.digits(microseconds / 1000);
        self.out.push(b'.');
        let rest = microseconds % 1000;
        let places = [rest / 100, rest / 10 % 10, rest % 10];
        // As many places as say something, but one.
        let length = places.iter().rposition(|place| *place > 0).map_or(1, |last| last + 1);
        for place in places.iter().take(length) {
            self.digits(*place);
        }
    }

    /// A field with an object, of which `fill` writes the fields.
    pub(in crate::observe) fn object(
        &mut self,
        name: &'static str,
        fill: impl FnOnce(&mut Object<'_>),
    ) {
        self.name(name);
        self.out.push(b'{');
        fill(&mut Object { out: self.out, first: true });
        self.out.push(b'}');
    }

    /// The last brace.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &'static str) {
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn digits(&mut self, number: u64) {
        let mut digits = [0; 20];
        let (mut at, mut rest) = (digits.len(), number);
        loop {
            at = at.saturating_sub(1);
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        fill(&mut Object { out: &mut out, first: true });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_a_serializer_writes_them() {
        for number in [0, 7, 10, 999, 1_000, 65_535, u64::MAX] {
            assert_eq!(written(|object| object.number("n", number)), format!("\"n\":{number}"));
        }
        for microseconds in [0, 1, 10, 100, 999, 1_000, 1_500, 12_340, 100_000, 86_400_000_001] {
            let time = Duration::from_micros(microseconds);
            let as_serialized = serde_json::to_string(&(microseconds as f64 / 1e3)).unwrap();
            let expected = format!("\"t\":{as_serialized}");
            assert_eq!(written(|object| object.milliseconds("t", time)), expected);
        }
        let rounded = written(|object| object.milliseconds("t", Duration::from_nanos(1_499)));
        assert_eq!(rounded, "\"t\":0.001");
    }

    #[test]
    fn texts_and_addresses_are_written_as_a_serializer_writes_them() {
        for text in ["", "plain", "a \"quote\" and \\", "é\n\u{1b}\u{202e}"] {
            let mut expected = b"\"t\":".to_vec();
            let mut serializer = serde_json::Serializer::with_formatter(&mut expected, OneLine);
            text.serialize(&mut serializer).unwrap();
            let shown = written(|object| object.text("t", text));
            assert_eq!(shown.as_bytes(), expected);
            assert!(!shown.chars().any(char::is_control), "{shown}");
        }
        for address in ["10.0.200.1:65535", "0.0.0.0:0", "[2001:db8::1]:443"] {
            let shown = written(|object| object.address("a", address.parse().unwrap()));
            assert_eq!(shown, format!("\"a\":\"{address}\""));
        }
    }

    #[test]
    fn fields_and_objects_are_separated() {
        let shown = written(|object| {
            object.truth("a", true);
            object.object("b", |inner| {
                inner.number("c", 1);
                inner.number("d", 2);
            });
            object.truth("e", false);
        });
        assert_eq!(shown, r#""a":true,"b":{"c":1,"d":2},"e":false"#);
    }
}
