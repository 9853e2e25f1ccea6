//! `bind`, `server`, `default-server`: addresses with their options.

use super::{Proxy, Set};
use crate::report::{Kind, Ledger};
use crate::table::{BIND, ENDPOINT, Fate, find};
use crate::values::{self, Place};
use std::collections::BTreeMap;

/// Options with their arguments; the last of a kind counts.
pub(crate) type Settings = BTreeMap<String, Set<Vec<String>>>;

/// A `server`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    pub(crate) line: usize,
}

impl Endpoint {
    pub(crate) fn has(&self, option: &str) -> bool {
        self.settings.contains_key(option)
    }

    /// The first argument of an option.
    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        self.settings.get(option)?.value.first().map(String::as_str)
    }

    /// A time, and the line that says it.
    pub(crate) fn time(&self, option: &str) -> Option<Set<u64>> {
        let set = self.settings.get(option)?;
        let value = values::time(set.value.first()?)?;
        Some(Set { value, line: set.line })
    }

    pub(crate) fn number(&self, option: &str) -> Option<Set<u64>> {
        let set = self.settings.get(option)?;
        let value = set.value.first()?.parse().ok()?;
        Some(Set { value, line: set.line })
    }

    /// The line of an option; that of the endpoint, where it has none.
    pub(crate) fn line_of(&self, option: &str) -> usize {
        self.settings.get(option).map_or(self.line, |set| set.line)
    }
}

/// A `bind`.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) places: Vec<Place>,
    pub(crate) settings: Settings,
    /// `crt`, of which there may be several.
    pub(crate) certificates: Vec<String>,
    pub(crate) line: usize,
}

impl Bind {
    /// Reads what stands behind `bind`.
    ///
    /// # Errors
    /// It is no address that TCP has; what it is, what happens, what to do.
    pub(crate) fn read(words: &[String], line: usize, ledger: &mut Ledger) -> Result<Self, String> {
        let Some((addresses, options)) = words.split_first() else {
            return Err("an address is wanted: HAProxy refuses it".to_owned());
        };
        let mut places = Vec::new();
        for address in addresses.split(',') {
            places.push(values::place(address).map_err(|what| {
                format!(
                    "it listened at {what} (`{address}`); now nobody does; write an IP address and a \
                     port into `listen`, and send clients there"
                )
            })?);
        }
        let mut bind = Self { places, settings: Settings::new(), certificates: Vec::new(), line };
        let mut rest = options;
        while let Some((word, after)) = rest.split_first() {
            let Some(row) = find(BIND, word) else {
                let note = format!("`{word}` is not known: it, and what follows it, is left out");
                ledger.tell(line, Kind::Unsupported, note);
                break;
            };
            let takes = row.takes.min(after.len());
            rest = &after[takes..];
            told(row.fate, word, row.says, line, ledger);
            if word == "crt" {
                bind.certificates.extend_from_slice(&after[..takes]);
            }
            let value = after[..takes].to_vec();
            bind.settings.insert(word.clone(), Set { value, line });
        }
        Ok(bind)
    }

    pub(crate) fn has(&self, option: &str) -> bool {
        self.settings.contains_key(option)
    }

    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        self.settings.get(option)?.value.first().map(String::as_str)
    }
}

/// What the table says of an option, told of its line.
fn told(fate: Fate, word: &str, says: &str, line: usize, ledger: &mut Ledger) {
    if let Some(kind) = fate.kind() {
        ledger.tell(line, kind, format!("`{word}`: {says}"));
    }
}

/// Reads `server NAME ADDRESS OPTIONS`, or `server-template PREFIX COUNT ADDRESS OPTIONS`.
pub(super) fn read(
    proxy: &mut Proxy,
    word: &str,
    words: &[String],
    line: usize,
    ledger: &mut Ledger,
) {
    let template = word == "server-template";
    let at = if template { 2 } else { 1 };
    let (Some(name), Some(address)) = (words.first(), words.get(at)) else {
        let note = "a name and an address are wanted: HAProxy refuses it";
        return ledger.tell(line, Kind::Unsupported, note);
    };
    let place = match values::place(address) {
        Ok(place) => place,
        Err(what) => {
            let note = format!(
                "the endpoint was {what} (`{address}`); now it is left out; let it listen at an IP \
                 address and a port"
            );
            proxy.lost += 1;
            return ledger.tell(line, Kind::Unsupported, note);
        }
    };
    if template {
        let note = "one endpoint with the name: it stands for all addresses that the name has";
        ledger.tell(line, Kind::Improved, note);
    }
    let settings = self::settings(proxy.usual.clone(), &words[at + 1..], line, ledger);
    proxy.endpoints.push(Endpoint { name: name.clone(), place, settings, line });
}

/// Options of `server` and `default-server` upon those that are there already.
pub(super) fn settings(
    mut settings: Settings,
    words: &[String],
    line: usize,
    ledger: &mut Ledger,
) -> Settings {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let Some(row) = find(ENDPOINT, word) else {
            let note = format!("`{word}` is not known: it, and what follows it, is left out");
            ledger.tell(line, Kind::Unsupported, note);
            break;
        };
        let mut takes = row.takes.min(after.len());
        if word == "source" {
            // `source ADDRESS [usesrc ADDRESS | interface NAME]`
            let more = after.get(1).is_some_and(|next| next == "usesrc" || next == "interface");
            takes = if more { 3.min(after.len()) } else { takes };
        }
        rest = &after[takes..];
        told(row.fate, word, row.says, line, ledger);
        let value = after[..takes].to_vec();
        match word.strip_prefix("no-") {
            Some(taken) if row.fate == Fate::Carried => drop(settings.remove(taken)),
            _ => drop(settings.insert(word.clone(), Set { value, line })),
        }
        if word == "enabled" || word == "no-disabled" {
            settings.remove("disabled");
        }
    }
    settings
}
