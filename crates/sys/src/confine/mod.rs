//! Confinement of a process by itself: capabilities, files, system calls. Each holds for the thread
//! that calls and for all that it starts later, so it comes before any other thread, and it cannot
//! be undone.

mod calls;
mod capabilities;
mod files;

pub use calls::{Unlisted, restrict_calls};
pub use capabilities::{Capability, drop_capabilities};
pub use files::{Files, restrict_files};
