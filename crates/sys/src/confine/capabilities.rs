//! capabilities(7)

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::io;

/// A capability that may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Ports below 1024 (`CAP_NET_BIND_SERVICE`).
    NetBindService,
}

/// Gives up all capabilities but one, if there is one to keep and this process has it, and sees to
/// it that none comes back: not by exec(2) either (`no_new_privs`).
///
/// # Errors
/// Whatever capset(2) or prctl(2) say; then some may be left.
pub fn drop_capabilities(keep: Option<Capability>) -> io::Result<()> {
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    let keep = match keep {
        Some(Capability::NetBindService) => CapabilitySet::NET_BIND_SERVICE,
        None => CapabilitySet::empty(),
    };
    let had = capabilities(None)?;
    if had.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all() {
            // Those that this kernel does not know cannot be had either.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    let kept = had.permitted & keep;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}
