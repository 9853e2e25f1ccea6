//! A JSON object written field by field, for lines that are too many for a general serializer.

use super::clean::{OneLine, is_plain_json};
use crate::observe::ExchangeId;
use eclusa_wire::digits;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// What stands before a value: the name of its field, and whatever else is the same every time.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct Key(pub(in crate::observe) &'static str);

/// Puts a field's name between what stands around it, while it is compiled: it goes out in one piece.
/// Of two names the first is that of an object, and the second of its first field.
macro_rules! key {
    ($name:literal) => {
        $crate::observe::log::Key(concat!(",\"", $name, "\":"))
    };
    ($object:literal, $name:literal) => {
        $crate::observe::log::Key(concat!(",\"", $object, "\":{\"", $name, "\":"))
    };
}
/// The same for a field whose value is in quotes.
macro_rules! quoted {
    ($name:literal) => {
        $crate::observe::log::Key(concat!(",\"", $name, "\":\""))
    };
}
pub(in crate::observe) use {key, quoted};

/// An object under way, behind a field that is there. Nothing that is written to it can break the line.
///
/// Fields are inlined, so that the processor moves names of a known length instead of copying memory.
pub(in crate::observe) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Goes on in `out` behind the fields that are there.
    pub(super) fn behind(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A field with a text.
    #[inline(always)]
    pub(in crate::observe) fn text(&mut self, key: Key, text: &str) {
        self.key(key);
        value(self.out, text);
    }

    /// A [`quoted`] field with a word of ours, which holds nothing that would have to be escaped.
    #[inline(always)]
    pub(in crate::observe) fn word(&mut self, key: Key, word: &'static str) {
        debug_assert!(is_plain_json(word), "{word} has to be escaped");
        self.key(key);
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    /// A [`quoted`] field with an address and port.
    #[inline(always)]
    pub(in crate::observe) fn address(&mut self, key: Key, address: SocketAddr) {
        self.key(key);
        digits::address(self.out, address);
        self.out.push(b'"');
    }

    /// A [`quoted`] field with the id of an exchange.
    #[inline(always)]
    pub(in crate::observe) fn exchange(&mut self, key: Key, id: ExchangeId) {
        self.key(key);
        digits::hexadecimal(self.out, id.session.run);
        for number in [id.session.number, id.number] {
            self.out.push(b'-');
            digits::decimal(self.out, number);
        }
        self.out.push(b'"');
    }

    /// A field with a number.
    #[inline(always)]
    pub(in crate::observe) fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        digits::decimal(self.out, number);
    }

    /// A field with `true` or `false`.
    #[inline(always)]
    pub(in crate::observe) fn truth(&mut self, key: Key, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    /// A field with milliseconds, to the microsecond.
    #[inline(always)]
    pub(in crate::observe) fn milliseconds(&mut self, key: Key, time: Duration) {
        self.key(key);
        milliseconds(self.out, time);
    }

    /// An object of texts with names that are not known before.
    pub(in crate::observe) fn texts<'t>(
        &mut self,
        key: Key,
        texts: impl Iterator<Item = (&'t str, &'t str)>,
    ) {
        self.key(key);
        for (index, (name, text)) in texts.enumerate() {
            self.out.push(if index == 0 { b'{' } else { b',' });
            value(self.out, name);
            self.out.push(b':');
            value(self.out, text);
        }
        self.out.push(b'}');
    }

    /// The last brace of the object, or of one within it.
    #[inline(always)]
    pub(in crate::observe) fn end(&mut self) {
        self.out.push(b'}');
    }

    #[inline(always)]
    fn key(&mut self, Key(key): Key) {
        self.out.extend_from_slice(key.as_bytes());
    }
}

fn value(out: &mut Vec<u8>, text: &str) {
    if is_plain_json(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut serializer = serde_json::Serializer::with_formatter(out, OneLine);
    // Neither a text nor writing to memory fails.
    let _ = text.serialize(&mut serializer);
}

fn milliseconds(out: &mut Vec<u8>, time: Duration) {
    // Rounded: a second's last half microsecond counts for the next one.
    let microseconds = u64::from(time.subsec_nanos() + 500) / 1000;
    let microseconds = time.as_secs().saturating_mul(1_000_000).saturating_add(microseconds);
    digits::decimal(out, microseconds / 1000);
    let rest = (microseconds % 1000) as u16;
    let places = [rest / 100, rest / 10 % 10, rest % 10].map(|place| b'0' + place as u8);
    // As many places as say something, but one.
    let length = match places {
        [_, b'0', b'0'] => 1,
        [_, _, b'0'] => 2,
        _ => 3,
    };
    out.push(b'.');
    out.extend_from_slice(places.get(..length).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        fill(&mut Object::behind(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_a_serializer_writes_them() {
        for number in [0, 7, 10, 999, 1_000, 65_535, u64::MAX] {
            assert_eq!(
                written(|object| object.number(key!("n"), number)),
                format!(",\"n\":{number}")
            );
        }
        for microseconds in [0, 1, 10, 100, 999, 1_000, 1_500, 12_340, 100_000, 86_400_000_001] {
            let time = Duration::from_micros(microseconds);
            let as_serialized = serde_json::to_string(&(microseconds as f64 / 1e3)).unwrap();
            let expected = format!(",\"t\":{as_serialized}");
            assert_eq!(written(|object| object.milliseconds(key!("t"), time)), expected);
        }
        let rounded = written(|object| object.milliseconds(key!("t"), Duration::from_nanos(1_499)));
        assert_eq!(rounded, ",\"t\":0.001");
    }

    #[test]
    fn texts_and_addresses_are_written_as_a_serializer_writes_them() {
        for text in ["", "plain", "a \"quote\" and \\", "é\n\u{1b}\u{202e}"] {
            let mut expected = b",\"t\":".to_vec();
            let mut serializer = serde_json::Serializer::with_formatter(&mut expected, OneLine);
            text.serialize(&mut serializer).unwrap();
            let shown = written(|object| object.text(key!("t"), text));
            assert_eq!(shown.as_bytes(), expected);
            assert!(!shown.chars().any(char::is_control), "{shown}");
        }
        for address in ["10.0.200.1:65535", "0.0.0.0:0", "[2001:db8::1]:443"] {
            let shown = written(|object| object.address(quoted!("a"), address.parse().unwrap()));
            assert_eq!(shown, format!(",\"a\":\"{address}\""));
        }
    }

    #[test]
    fn fields_and_objects_are_separated() {
        let shown = written(|object| {
            object.truth(key!("a"), true);
            object.number(key!("b", "c"), 1);
            object.number(key!("d"), 2);
            object.end();
            object.word(quoted!("e"), "f");
            object.texts(key!("g"), [("h", "i\n"), ("j", "")].into_iter());
        });
        let expected = r#","a":true,"b":{"c":1,"d":2},"e":"f","g":{"h":"i\n","j":""}"#;
        assert_eq!(shown, expected);
    }
}
