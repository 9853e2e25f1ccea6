//! What was ordered, for whoever writes it into the file: the answer to `save`. The program itself writes
//! no file of configuration: it may not, and would do it as somebody else than who asks.

use super::edit::Change;
use serde::{Deserialize, Serialize};

/// What was ordered, and of which file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SaveReport {
    /// The version of the program, which knows the digest below.
    pub(crate) version: String,
    /// The file.
    pub(crate) file: String,
    /// Of its text when it was put in force: length in bytes and digest.
    pub(crate) text: (u64, u64),
    /// Why the file is not what is in force, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_in_force: Option<String>,
    /// What was ordered.
    pub(crate) orders: Vec<SaveOrder>,
}

/// Something that was ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SaveOrder {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// A weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u16>,
    /// It was added, at this address, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// It was removed.
    #[serde(default)]
    pub(crate) remove: bool,
    /// The order in words.
    pub(crate) order: String,
    /// It ends by itself.
    pub(crate) ends: bool,
}

impl SaveOrder {
    /// What of it a file can say.
    pub(super) fn change(&self) -> Option<Change<'_>> {
        match (&self.address, self.weight) {
            _ if self.remove => Some(Change::Remove),
            (Some(address), weight) => Some(Change::Add(address, weight.unwrap_or(1))),
            (None, weight) => weight.map(Change::Weight),
        }
    }
}
