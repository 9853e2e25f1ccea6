//! Answer: a fixed one, without an endpoint.

use std::path::PathBuf;
use std::sync::Arc;

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// Value of `Content-Type`; `None`: there is none, as there is no body.
    pub content_type: Option<Arc<str>>,
    /// The body.
    pub content: Content,
}

/// The body of a fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This text; perhaps empty.
    Text(Arc<str>),
    /// What this file had in it when it was loaded.
    File(PathBuf),
    /// This file has the answer as a whole ([`super::Message`]), of the status that the answer has.
    Message(PathBuf),
}
