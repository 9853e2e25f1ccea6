//! A JSON object written field by field, for lines that are too many for a general serializer.

use super::clean::{OneLine, is_plain_json};
use crate::observe::ExchangeId;
use eclusa_wire::digits;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// The name of a field as it stands before its value.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct Key(pub(in crate::observe) &'static str);

/// Puts a name between what stands around it, while it is compiled: it goes out in one piece.
macro_rules! key {
    ($name:literal) => {
        $crate::observe::log::Key(concat!(",\"", $name, "\":"))
    };
}
pub(in crate::observe) use key;

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
    pub(in crate::observe) fn text(&mut self, key: Key, text: &str) {
        self.key(key);
        if is_plain_json(text) {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
            return;
        }
        let mut serializer = serde_json::Serializer::with_formatter(&mut *self.out, OneLine);
        // Neither a text nor writing to memory fails.
        let _ = text.serialize(&mut serializer);
    }

    /// A field with a word of ours, which holds nothing that would have to be escaped.
    pub(in crate::observe) fn word(&mut self, key: Key, word: &'static str) {
        debug_assert!(is_plain_json(word), "{word} has to be escaped");
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// A field with an address and port.
    pub(in crate::observe) fn address(&mut self, key: Key, address: SocketAddr) {
        self.key(key);
        self.out.push(b'"');
        digits::address(self.out, address);
        self.out.push(b'"');
    }

    /// A field with the id of an exchange.
    pub(in crate::observe) fn exchange(&mut self, key: Key, id: ExchangeId) {
        self.key(key);
        self.out.push(b'"');
        digits::hexadecimal(self.out, id.session.run);
        for number in [id.session.number, id.number] {
            self.out.push(b'-');
            digits::decimal(self.out, number);
        }
        self.out.push(b'"');
    }

    /// A field with a number.
    pub(in crate::observe) fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        digits::decimal(self.out, number);
    }

    /// A field with `true` or `false`.
    pub(in crate::observe) fn truth(&mut self, key: Key, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    /// A field with milliseconds, to the microsecond.
    pub(in crate::observe) fn milliseconds(&mut self, key: Key, time: Duration) {
        self.key(key);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let microseconds = nanoseconds.saturating_add(500) / 1000;
        digits::decimal(self.out, microseconds / 1000);
        self.out.push(b'.');
        let rest = microseconds % 1000;
        let places = [rest / 100, rest / 10 % 10, rest % 10];
        // As many places as say something, but one.
        let length = places.iter().rposition(|place| *place > 0).map_or(1, |last| last + 1);
        self.out.extend(places.iter().take(length).map(|place| b'0' + *place as u8));
    }

    /// A field with an object, of which `fill` writes the fields.
    pub(in crate::observe) fn object(&mut self, key: Key, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        self.out.push(b'{');
        fill(&mut Object { out: self.out, first: true });
        self.out.push(b'}');
    }

    /// The last brace.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, Key(key): Key) {
        // The first has no comma before it.
        let from = usize::from(std::mem::take(&mut self.first));
        self.out.extend_from_slice(key.get(from..).unwrap_or_default().as_bytes());
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
            assert_eq!(
                written(|object| object.number(key!("n"), number)),
                format!("\"n\":{number}")
            );
        }
        for microseconds in [0, 1, 10, 100, 999, 1_000, 1_500, 12_340, 100_000, 86_400_000_001] {
            let time = Duration::from_micros(microseconds);
            let as_serialized = serde_json::to_string(&(microseconds as f64 / 1e3)).unwrap();
            let expected = format!("\"t\":{as_serialized}");
            assert_eq!(written(|object| object.milliseconds(key!("t"), time)), expected);
        }
        let rounded = written(|object| object.milliseconds(key!("t"), Duration::from_nanos(1_499)));
        assert_eq!(rounded, "\"t\":0.001");
    }

    #[test]
    fn texts_and_addresses_are_written_as_a_serializer_writes_them() {
        for text in ["", "plain", "a \"quote\" and \\", "é\n\u{1b}\u{202e}"] {
            let mut expected = b"\"t\":".to_vec();
            let mut serializer = serde_json::Serializer::with_formatter(&mut expected, OneLine);
            text.serialize(&mut serializer).unwrap();
            let shown = written(|object| object.text(key!("t"), text));
            assert_eq!(shown.as_bytes(), expected);
            assert!(!shown.chars().any(char::is_control), "{shown}");
        }
        for address in ["10.0.200.1:65535", "0.0.0.0:0", "[2001:db8::1]:443"] {
            let shown = written(|object| object.address(key!("a"), address.parse().unwrap()));
            assert_eq!(shown, format!("\"a\":\"{address}\""));
        }
    }

    #[test]
    fn fields_and_objects_are_separated() {
        let shown = written(|object| {
            object.truth(key!("a"), true);
            object.object(key!("b"), |inner| {
                inner.number(key!("c"), 1);
                inner.number(key!("d"), 2);
            });
            object.truth(key!("e"), false);
        });
        assert_eq!(shown, r#""a":true,"b":{"c":1,"d":2},"e":false"#);
    }
}
