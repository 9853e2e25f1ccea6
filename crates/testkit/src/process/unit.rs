//! A systemd unit file, as far as a start needs it.

use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::path::{Path, PathBuf};

/// The user id where the unit's user does not exist: the first of those that systemd gives to
/// services without a user of their own (`DynamicUser=`), so nobody else's.
const STRANGER: u32 = 61184;

/// A unit file. Values are read when asked for, so any key can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    path: PathBuf,
    /// Section, key, value, in the order written.
    entries: Vec<(String, String, String)>,
}

/// Why a unit file cannot be used.
#[derive(Debug)]
pub struct UnitError(String);

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnitError {}

/// As whom a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User and group id.
    pub ids: (u32, u32),
    /// Something that must be told: the unit's user does not exist here.
    pub note: Option<String>,
}

impl Unit {
    /// Reads a unit file.
    ///
    /// # Errors
    /// It cannot be read, or a line is none of a unit.
    pub fn read(path: &Path) -> Result<Self, UnitError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| UnitError(format!("cannot read {}: {error}", path.display())))?;
        Self::parse(path, &text)
    }

    /// Reads the unit that is shipped for a program of this workspace (`eclusa-edge`).
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn shipped(program: &str) -> Result<Self, UnitError> {
        Self::read(&super::binary::workspace().join(format!("systemd/{program}.service")))
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, UnitError> {
        let mut entries = Vec::new();
        let mut section = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let mut line = line.trim().to_owned();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            while let Some(begun) = line.strip_suffix('\\') {
                let more = lines.next().map_or("", |(_, line)| line.trim());
                line = format!("{begun} {more}");
            }
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let entry = (section.clone(), key.trim().to_owned(), value.trim().to_owned());
                entries.push(entry);
            } else {
                let place = format!("{}:{}", path.display(), index + 1);
                return Err(UnitError(format!("{place}: `{line}` is neither [Section] nor Key=")));
            }
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The values of a key in a section, as in systemd: lines add up, an empty one begins anew.
    #[must_use]
    pub fn values(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (its_section, its_key, value) in &self.entries {
            if its_section == section && its_key == key {
                if value.is_empty() {
                    values.clear();
                } else {
                    values.push(value.as_str());
                }
            }
        }
        values
    }

    /// The last value of a key of `[Service]`.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&str> {
        self.values("Service", key).pop()
    }

    /// Whether `key` stands in `[Service]`, even with nothing behind it.
    fn names(&self, key: &str) -> bool {
        self.entries.iter().any(|(section, name, _)| section == "Service" && name == key)
    }

    /// A switch of `[Service]`: yes, no, and systemd's other words for it.
    #[must_use]
    pub fn switch(&self, key: &str) -> bool {
        matches!(self.last(key), Some("yes" | "true" | "on" | "1"))
    }

    /// `Environment=`, quotes removed.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let lines = self.values("Service", "Environment");
        let words = lines.iter().flat_map(|line| words(line));
        words
            .filter_map(|word| {
                word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect()
    }

    /// The capabilities that a key lists, as setpriv names them (`net_bind_service`); `None`
    /// when the unit does not name the key.
    ///
    /// # Errors
    /// A list of exclusions (`~`), which no unit of ours has.
    pub fn capabilities(&self, key: &str) -> Result<Option<Vec<String>>, UnitError> {
        if !self.names(key) {
            return Ok(None);
        }
        let mut list = Vec::new();
        for word in self.values("Service", key).iter().flat_map(|line| line.split_whitespace()) {
            if word.starts_with('~') {
                let path = self.path.display();
                return Err(UnitError(format!("{path}: {key}= excludes: name what stays instead")));
            }
            let word = word.to_ascii_lowercase();
            list.push(word.strip_prefix("cap_").unwrap_or(&word).to_owned());
        }
        Ok(Some(list))
    }

    /// `LimitNOFILE=` as far as this machine lets us: a process without `CAP_SYS_RESOURCE`
    /// cannot raise its hard limit. With a note where that made it less.
    #[must_use]
    pub fn descriptors(&self) -> Option<(u64, Option<String>)> {
        let written = self.last("LimitNOFILE")?;
        // `soft:hard`; the hard one counts, for the program raises the soft one to it.
        let wanted: u64 = written.rsplit(':').next()?.parse().ok()?;
        let possible = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        if wanted <= possible || may_raise_limits() {
            return Some((wanted, None));
        }
        let note = format!("LimitNOFILE={wanted} is {possible} here: no CAP_SYS_RESOURCE");
        Some((possible, Some(note)))
    }

    /// `User=` and `Group=`; without the former: a user that is nobody.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        self.identity_among(&read("/etc/passwd"), &read("/etc/group"))
    }

    pub(super) fn identity_among(&self, users: &str, groups: &str) -> Identity {
        let user = self.last("User");
        let Some((uid, primary)) = user.and_then(|user| look_up(users, user)) else {
            let who = user.map_or("the unit names no user".to_owned(), |user| {
                format!("the unit's user `{user}` does not exist here")
            });
            return Identity {
                ids: (STRANGER, STRANGER),
                note: Some(format!("{who}: runs as user id {STRANGER}")),
            };
        };
        let group = self.last("Group").and_then(|group| look_up(groups, group));
        Identity { ids: (uid, group.map_or(primary, |(gid, _)| gid)), note: None }
    }
}

/// The third and fourth field of the line of `name`: user and group id in `/etc/passwd`; in
/// `/etc/group` only the third is a number.
fn look_up(table: &str, name: &str) -> Option<(u32, u32)> {
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let found = *fields.first()? == name || *fields.get(2)? == name;
        let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
        found.then(|| Some((number(2)?, number(3).unwrap_or_default())))?
    })
}

/// Ids of a user of this machine.
pub(super) fn user(name: &str) -> Option<(u32, u32)> {
    look_up(&std::fs::read_to_string("/etc/passwd").ok()?, name)
}

fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|bits| bits & (1 << CAP_SYS_RESOURCE) != 0)
}

/// Splits at blanks that stand in no quotes, and removes the quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
