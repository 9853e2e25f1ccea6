//! JSON: an object in one line, its time first.

use super::clean::OneLine;
use serde::Serialize;
use std::time::SystemTime;

/// Writes an object; nothing if it is none.
pub(super) fn write(out: &mut Vec<u8>, at: SystemTime, object: &impl Serialize) {
    let start = out.len();
    out.extend_from_slice(br#"{"ts":""#);
    out.extend_from_slice(humantime::format_rfc3339_millis(at).to_string().as_bytes());
    out.extend_from_slice(br#"","#);
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
