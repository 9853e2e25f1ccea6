//! What rules decide, put into heads.

use eclusa_policy::rules::{Decision, Edit, Operation};
use eclusa_wire::http1::Head;

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
    };
}
