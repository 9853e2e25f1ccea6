//! What a reload would do: the answer to `plan`.

use serde::{Deserialize, Serialize};

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanReport {
    /// The file, or the name of the text that the client sent.
    pub(crate) file: String,
    /// It is the program's own, read as a reload reads it; `false`: a text of the client, of which the
    /// files that it names were not opened.
    pub(crate) own: bool,
    /// The generation of the configuration in force.
    pub(crate) generation: u64,
    /// Whether anything would change, now or at a restart.
    pub(crate) changes: bool,
    /// Why the shrink guard would refuse the reload without `--force`, each pool in words.
    pub(crate) refused: Vec<String>,
    /// Why it would fail: what cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
    /// Listeners, pools and endpoints, and everything else that would change.
    pub(crate) items: Vec<Item>,
    /// What has changed in the file and takes effect at a restart.
    pub(crate) after_restart: Vec<String>,
    /// Orders that would end because the file has changed what they are about.
    pub(crate) dropped_overrides: Vec<String>,
    /// What is odd about the file.
    pub(crate) warnings: Vec<String>,
}

/// A thing, and what would become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// The thing: `listener web`, `pool ingress`, `endpoint ingress/10.0.0.9:443`.
    pub(crate) of: String,
    /// What would become of it.
    pub(crate) action: Action,
    /// What of it would change, and what follows.
    pub(crate) details: Vec<String>,
    /// Sessions that stand on it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sessions: Option<u64>,
}

/// What would become of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Nothing.
    Kept,
    /// It stays, and something of it changes.
    Changed,
    /// It comes.
    New,
    /// It goes.
    Gone,
}

impl Action {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Changed => "changed",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}
