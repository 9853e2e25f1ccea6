//! What rules decide, put into heads.

use eclusa_policy::rules::{Decision, Edit, Operation, Served};
use eclusa_proxy::layer7::Exchange;
use eclusa_wire::http1::Head;
use std::borrow::Cow;

/// Puts what rules decided into the head of a request.
pub(crate) fn edit(head: &mut Head, decision: &Decision<'_>) {
    if let Some(path) = &decision.path {
        let target = match head.query() {
            Some(query) => [path.as_bytes(), b"?", query].concat(),
            None => path.clone().into_bytes(),
        };
        // A target that cannot be one is left as it was: the rule's pattern made it, not the client.
        let _ = head.set_target(&target);
    }
    if let Some(host) = &decision.host {
        let _ = head.set_authority(host.as_bytes());
    }
    for edit in &decision.request {
        apply(head, edit);
    }
}

/// Changes of an answer with what is known of it by now: its pool and, where an endpoint `answered`,
/// that.
pub(crate) fn filled<'e, 'r>(
    edits: &'e [Edit<'r>],
    record: &Exchange,
    answered: bool,
) -> Cow<'e, [Edit<'r>]> {
    if !edits.iter().any(Edit::is_late) {
        return Cow::Borrowed(edits);
    }
    let endpoint = record.endpoint.as_ref().filter(|_| answered).map(|endpoint| endpoint.name());
    let pool = record.pool.as_ref().map_or("", |pool| pool.name());
    let served = Served { pool, endpoint: endpoint.as_deref().unwrap_or_default() };
    Cow::Owned(edits.iter().map(|edit| edit.filled(&served)).collect())
}

/// Puts one change into a head.
pub(crate) fn apply(head: &mut Head, edit: &Edit<'_>) {
    let (name, value) = (edit.name.as_bytes(), edit.value.as_bytes());
    // Names were checked with the configuration, values are screened: what is still no field is left
    // out.
    let _ = match edit.operation {
        Operation::Set => head.set(name, value),
        Operation::Add => head.add(name, value),
        Operation::Remove => {
            head.remove(name);
            Ok(())
        }
        Operation::Replace => {
            replace(head, edit);
            Ok(())
        }
    };
}

/// Replaces a part of each field of a name; where none matches, all stay as they are.
fn replace(head: &mut Head, edit: &Edit<'_>) {
    let name = edit.name.as_bytes();
    let mut changes = false;
    let value = |value: &[u8]| {
        let replaced = edit.replaced(value);
        changes |= replaced.is_some();
        replaced.unwrap_or_else(|| value.to_vec())
    };
    let values: Vec<_> = head.all(name).map(value).collect();
    if changes {
        head.remove(name);
        for value in values {
            let _ = head.add(name, &value);
        }
    }
}
