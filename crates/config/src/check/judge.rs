//! What follows from verdicts: resets, failing open, slow start.

use super::probe::{ASKING, Probed, one_of};
use crate::document::Span;
use crate::reader::Reader;
use crate::reference::Key;
use crate::reference::table as keys;
use eclusa_policy::verdict::{Check, Settings};

/// The settings of a pool with this probe, from the keys of the pool.
pub(super) fn read(reader: &Reader<'_>, probed: &Probed) -> Settings {
    let mut judge = probed.judge.clone();
    if let Some(silent) = reader.duration_or_never(&keys::RESET_SILENT) {
        if silent.written && silent.value.is_some() {
            needs_probe(reader, &keys::RESET_SILENT, probed, silent.span);
        }
        judge.reset_silent_after = silent.value;
    }
    if let Some(sick) = reader.duration_or_never(&keys::RESET_SICK) {
        let live = judge.checks.contains(&Check::Live) || probed.kind.is_none();
        if sick.written && sick.value.is_some() && !live {
            reader.report.error(
                sick.span,
                "`reset_sick` resets nobody: without a `live_path` no endpoint is ever sick",
                "a probe of kind \"http\" or \"https\" with a `live_path`",
                "add `live_path = \"/livez\"` to the probe, or write `reset_sick = \"never\"`",
            );
        }
        judge.reset_sick_after = sick.value;
    }
    let slow_start = reader.duration(&keys::SLOW_START);
    if slow_start.written && !slow_start.value.is_zero() {
        needs_probe(reader, &keys::SLOW_START, probed, slow_start.span);
    }
    judge.slow_start = slow_start.value;
    if let Some(open) = reader.boolean(&keys::FAIL_OPEN) {
        if open.written
            && open.value
            && let Some(kind) = probed.kind.filter(|kind| !ASKING.contains(kind))
        {
            reader.report.error(
                open.span,
                &format!(
                    "`fail_open` concerns endpoints that answer with a bad status, and a probe of \
                     kind \"{kind}\" asks for none"
                ),
                &format!("{} in the table of the probe", one_of(reader, ASKING)),
                &format!("write {} there, or `fail_open = false`", one_of(reader, ASKING)),
            );
        }
        judge.fail_open = open.value;
    }
    judge
}

/// Without probes no endpoint is ever dead, nor does one come back.
fn needs_probe(reader: &Reader<'_>, key: &Key, probed: &Probed, span: Span) {
    if probed.kind == Some("none") {
        reader.report.error(
            span,
            &format!("`{}` says nothing to a pool whose endpoints are not probed", key.name),
            "a probe of another kind than \"none\"",
            &format!("write `kind = \"tcp\"` in the table of the probe, or remove `{}`", key.name),
        );
    }
}
