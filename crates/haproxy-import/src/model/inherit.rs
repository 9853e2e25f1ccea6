//! Which `defaults` a section has: those that it names with `from`, else the last ones above it.

use super::{Proxy, Role};
use crate::report::{Kind, Ledger};
use crate::sections::{Section, Sources};

/// What all sections together may inherit, in lines of which each counts: thousands of them, in thousands of
/// sections, are no file that anybody has.
const INHERITED_MAX: usize = 1_000_000;

/// The `defaults` read so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    all: Vec<Proxy>,
    /// What has been inherited so far.
    inherited: usize,
}

impl Known {
    pub(super) fn add(&mut self, proxy: Proxy) {
        // Nobody inherits lines, but what they say.
        self.all.push(Proxy { lines: Vec::new(), ..proxy });
    }

    /// A section at its first line, with what it inherits.
    pub(super) fn begin(
        &mut self,
        sources: &Sources,
        section: &Section,
        ledger: &mut Ledger,
    ) -> Proxy {
        let words = &sources.lines[section.head].words;
        let role = match section.kind.as_str() {
            "frontend" => Role::Front,
            "backend" => Role::Back,
            "listen" => Role::Both,
            _ => Role::Defaults,
        };
        // What is not a `defaults` has a name first, even if that is `from`.
        let first = if role == Role::Defaults { 1 } else { 2 };
        let from = (first..words.len()).find(|at| words[*at] == "from");
        let named = from.and_then(|at| words.get(at + 1));
        let name = words.get(1).filter(|_| from != Some(1)).cloned().unwrap_or_default();
        let base = match named {
            Some(wanted) => {
                let found = self.all.iter().rev().find(|known| known.name == *wanted);
                if found.is_none() {
                    let note = format!("there are no `defaults {wanted}`: HAProxy refuses it");
                    ledger.tell(section.head, Kind::Unsupported, note);
                }
                found
            }
            // A `defaults` without `from` begins anew.
            None if role == Role::Defaults => None,
            None => self.all.last(),
        };
        self.inherited += base.map_or(0, weight);
        let fits = self.inherited <= INHERITED_MAX;
        if !fits && base.is_some() {
            let note = "its defaults say too much for one more section to have it all: it is read without them";
            ledger.tell(section.head, Kind::Unsupported, note);
        }
        let mut proxy = base.filter(|_| fits).cloned().unwrap_or_default();
        if role != Role::Back && role != Role::Both && role != Role::Defaults {
            // Endpoints and checks are no matter of a frontend.
            proxy.checks.clear();
        }
        (proxy.role, proxy.name, proxy.head) = (role, name, section.head);
        proxy.lines.clone_from(&section.lines);
        if role == Role::Defaults {
            ledger.same(section.head);
        } else {
            ledger.known(section.head);
            if proxy.name.is_empty() {
                ledger.tell(section.head, Kind::Unsupported, "it has no name: HAProxy refuses it");
                proxy.name = format!("unnamed-{}", sources.lines[section.head].number);
            }
        }
        // `frontend web 10.0.0.1:80`, as it was written until 1.8 or so.
        let rest = words.iter().skip(2).take_while(|word| *word != "from");
        for address in rest.filter(|_| role != Role::Defaults) {
            if proxy.is_front() {
                let note = "an address behind the name, which HAProxy refuses today: carried over \
                            as if it were `bind`";
                ledger.tell(section.head, Kind::Improved, note);
                super::keywords::bind(
                    &mut proxy,
                    std::slice::from_ref(address),
                    section.head,
                    ledger,
                );
            }
        }
        proxy
    }
}

/// How many of its lines a section has that inherits them. The last ones of the others count alone.
fn weight(proxy: &Proxy) -> usize {
    let lists = [
        proxy.checks.len(),
        proxy.acls.len(),
        proxy.rules.len(),
        proxy.compression.len(),
        proxy.captures.len(),
        proxy.stats.len(),
        proxy.pages.len(),
        proxy.logs.len(),
    ];
    lists.iter().sum()
}
