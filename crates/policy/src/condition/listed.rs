//! Conditions over lists that stand outside the configuration, in files that change by themselves.

use super::Facts;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// What the entries of a list are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The client's address: the entries are networks.
    Source,
    /// The server name of the ClientHello.
    ServerName,
    /// The host of the request.
    Host,
}

impl Subject {
    /// What it is called in conditions and figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::ServerName => "sni",
            Self::Host => "host",
        }
    }
}

/// A list as it is at the moment of the question. A look-up costs the same with ten entries as with
/// a hundred thousand.
pub trait List: fmt::Debug + Send + Sync {
    /// The file that it stands in.
    fn file(&self) -> &Path;

    /// What its entries are compared with.
    fn subject(&self) -> Subject;

    /// Whether a name (in lower case) matches one of the entries.
    fn has_name(&self, name: &str) -> bool;

    /// Whether one of the entries holds the address.
    fn has_address(&self, address: IpAddr) -> bool;
}

/// The condition that a list has what is asked for. Two of the same file are the same, whatever it
/// says.
#[derive(Clone, Debug)]
pub struct Listed(pub Arc<dyn List>);

impl Listed {
    /// Whether the list has it. Of a request that is not there it has nothing.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self.0.subject() {
            Subject::Source => self.0.has_address(facts.source),
            Subject::ServerName => facts.server_name.is_some_and(|name| self.0.has_name(name)),
            Subject::Host => {
                facts.request.is_some_and(|asked| self.0.has_name(asked.request().host()))
            }
        }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.0.subject() == other.0.subject() && self.0.file() == other.0.file()
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in @{}", self.0.subject().name(), self.0.file().display())
    }
}
