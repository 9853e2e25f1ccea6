//! Deny: the request is refused.

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deny {
    /// 400 to 599.
    pub status: u16,
}
