//! Lists in files of their own: hosts, server names or networks, one on each line. They are read with
//! the configuration, and again whenever the file changes.

use crate::values::{self, Mistake};
use crate::web;
use arc_swap::ArcSwap;
use eclusa_policy::condition::{self, Subject};
use eclusa_policy::name::NameSet;
use eclusa_policy::network::NetworkSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest list, in bytes.
pub const LIST_MAX: usize = 8 << 20;

/// Lists of one configuration.
pub(crate) const LISTS_MAX: usize = 256;

/// A list that conditions ask. What it holds is swapped whole; whoever asks meanwhile asks the old one.
#[derive(Debug)]
pub struct List {
    subject: Subject,
    file: PathBuf,
    content: ArcSwap<Content>,
    refused: AtomicBool,
}

#[derive(Debug, Default)]
struct Content {
    text: u64,
    entries: usize,
    names: NameSet,
    networks: NetworkSet,
}

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
    /// The line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.message, self.remedy)
    }
}

impl List {
    /// A list of which nothing was read yet: it has nothing.
    #[must_use]
    pub fn new(subject: Subject, file: PathBuf) -> Self {
        let (content, refused) = (ArcSwap::default(), AtomicBool::new(false));
        Self { subject, file, content, refused }
    }

    /// Takes what the file says now; says whether that is something else than before.
    ///
    /// # Errors
    /// The first line that is wrong; then the list stays as it was.
    pub fn take(&self, text: &[u8]) -> Result<bool, ListError> {
        let content = Content::read(self.subject, text)?;
        let text = content.text;
        Ok(self.content.swap(Arc::new(content)).text != text)
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.content.load().entries
    }

    /// Whether the file is wrong now, and what it said before holds.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Notes whether the file is wrong.
    pub fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }
}

impl condition::List for List {
    fn file(&self) -> &Path {
        &self.file
    }

    fn subject(&self) -> Subject {
        self.subject
    }

    fn has_name(&self, name: &str) -> bool {
        self.content.load().names.matches(name)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.content.load().networks.contains(address)
    }
}

impl Content {
    fn read(subject: Subject, text: &[u8]) -> Result<Self, ListError> {
        let whole = |message: String, remedy: &str| ListError {
            line: None,
            message,
            remedy: remedy.to_owned(),
        };
        if text.len() > LIST_MAX {
            let message = format!("it is longer than {} MiB", LIST_MAX >> 20);
            return Err(whole(message, "split it into several lists"));
        }
        let text = std::str::from_utf8(text)
            .map_err(|_| whole("it is no UTF-8 text".into(), "save it as UTF-8"))?;
        if text.is_empty() {
            // What a writer leaves that found no room.
            let remedy = "where nobody is meant, write a line that begins with `#`";
            return Err(whole("it is empty".into(), remedy));
        }
        let (mut entries, mut names, mut networks) = (0, Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            entries += 1;
            let read = match subject {
                Subject::Source => values::network(entry).map(|network| networks.push(network)),
                Subject::ServerName => values::server_name(entry).map(|name| names.push(name)),
                Subject::Host => web::host_pattern(entry).map(|name| names.push(name)),
            };
            read.map_err(|Mistake { message, remedy }| ListError {
                line: Some(index + 1),
                message,
                remedy,
            })?;
        }
        let (names, networks) = (names.into_iter().collect(), networks.into_iter().collect());
        Ok(Self { text: crate::digest(text), entries, names, networks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::condition::List as _;

    fn said(subject: Subject, text: &str) -> String {
        let list = List::new(subject, "/l".into());
        list.take(text.as_bytes()).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn lines_are_entries() {
        let list = List::new(Subject::Host, "/l".into());
        let text = "# ours\nShop.Test\n\n  *.apps.test # all of them\r\n192.168.1.2\n";
        assert_eq!(list.take(text.as_bytes()), Ok(true));
        assert_eq!(list.take(text.as_bytes()), Ok(false), "the same");
        assert_eq!(list.entries(), 3);
        for name in ["shop.test", "a.apps.test", "a.b.apps.test", "192.168.1.2"] {
            assert!(list.has_name(name), "{name}");
        }
        for name in ["apps.test", ".apps.test", "a.shop.test", "test", ""] {
            assert!(!list.has_name(name), "{name}");
        }
        let list = List::new(Subject::Source, "/l".into());
        list.take(b"10.0.0.0/8\nfd00::/8\n192.0.2.1").unwrap();
        for (address, held) in
            [("10.1.2.3", true), ("fd00::1", true), ("192.0.2.1", true), ("192.0.2.2", false)]
        {
            assert_eq!(list.has_address(address.parse().unwrap()), held, "{address}");
        }
        assert_eq!(list.take(b"# nobody\n"), Ok(true));
        assert_eq!(list.entries(), 0);
    }

    #[test]
    fn a_mistake_names_its_line_and_changes_nothing() {
        let list = List::new(Subject::Source, "/l".into());
        list.take(b"10.0.0.0/8\n").unwrap();
        let error = list.take(b"10.0.0.0/8\n\n10.0.0.1/8\n").unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(error.to_string().starts_with("line 3: `10.0.0.1/8` has host bits set: write"));
        assert!(list.has_address("10.0.0.1".parse().unwrap()));
        assert!(said(Subject::Host, "a.test\na b\n").starts_with("line 2: `a b` matches no host"));
        assert!(
            said(Subject::ServerName, "10.0.0.1").starts_with("line 1: `10.0.0.1` is an address")
        );
        assert!(said(Subject::Host, "").starts_with("it is empty: where nobody is meant"));
        let long = "a".repeat(LIST_MAX + 1);
        assert_eq!(
            said(Subject::Host, &long),
            "it is longer than 8 MiB: split it into several lists"
        );
        let list = List::new(Subject::Host, "/l".into());
        assert!(list.take(b"\xff").unwrap_err().to_string().starts_with("it is no UTF-8 text"));
    }
}
