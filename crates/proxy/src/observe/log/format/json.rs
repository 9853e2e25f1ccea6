//! JSON: an object in one line, its time first.

use super::clean::OneLine;
use super::object::Object;
use super::time;
use serde::Serialize;
use std::time::SystemTime;

/// Writes an object of which `fill` writes the fields.
pub(super) fn write_with(out: &mut Vec<u8>, at: SystemTime, fill: impl FnOnce(&mut Object<'_>)) {
    begin(out, at);
    let mut object = Object::behind(out);
    fill(&mut object);
    object.end();
}

/// The brace and the time.
fn begin(out: &mut Vec<u8>, at: SystemTime) {
    out.extend_from_slice(br#"{"ts":""#);
    time::rfc3339(out, at);
    out.push(b'"');
}

/// Writes an object; nothing if it is none.
pub(super) fn write(out: &mut Vec<u8>, at: SystemTime, object: &impl Serialize) {
    let start = out.len();
    begin(out, at);
    out.push(b',');
    let brace = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, OneLine);
    let written = object.serialize(&mut serializer);
    if written.is_ok() && out.get(brace) == Some(&b'{') {
        // One object: the time stamp's fields go on where the line's begin.
        out.remove(brace);
    } else {
        out.truncate(start);
    }
}
