//! The one error of the runner: a sentence for the person who runs it.

use std::fmt;

/// Why the runner cannot go on, in words; causes are appended as `: cause`.
#[derive(Debug)]
pub struct Failure(String);

/// What every fallible step of the runner returns.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Turns any error into a [`Failure`] that begins with `doing`.
    ///
    /// # Errors
    /// The error of `self`.
    fn context(self, doing: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|cause| Failure(format!("{}: {cause}", doing())))
    }
}
