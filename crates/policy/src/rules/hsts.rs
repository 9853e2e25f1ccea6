//! HSTS: browsers shall come by HTTPS alone (RFC 6797).

use super::{Context, Edit, Operation, Scheme};
use std::borrow::Cow;
use std::time::Duration;

/// `Strict-Transport-Security`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    value: Box<str>,
}

impl Hsts {
    /// For how long, whether for names below the host, and whether browsers may have it built in.
    #[must_use]
    pub fn new(max_age: Duration, subdomains: bool, preload: bool) -> Self {
        let subdomains = if subdomains { "; includeSubDomains" } else { "" };
        let preload = if preload { "; preload" } else { "" };
        Self { value: format!("max-age={}{subdomains}{preload}", max_age.as_secs()).into() }
    }

    /// The header field; none in the clear, where nobody may believe it (section 7.2).
    pub(super) fn edit(&self, context: &Context<'_>) -> Option<Edit<'_>> {
        let (name, value) = ("Strict-Transport-Security", Cow::Borrowed(&*self.value));
        (context.scheme == Scheme::Https).then(|| Edit::new(name, Operation::Set, value))
    }
}
