//! Words: what kind of event, and the event for people.

use super::clean;
use crate::observe::Event;

pub(super) fn write(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(event.kind.as_bytes());
    out.extend_from_slice(b": ");
    clean::write(out, &event.message);
}
