//! `compression`, as `http.compress` of listeners.

use super::Work;
use super::pool::pair;
use crate::model::{Proxy, Set};
use crate::report::{Kind, Ledger};
use crate::toml;

/// What a section compresses. Each of the two is that of the endpoints' section, or else that of the clients'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Compression {
    /// `None`: it names no algorithm.
    by: Option<Algorithms>,
    types: Vec<String>,
}

/// Which algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Algorithms {
    gzip: bool,
    others: bool,
}

/// What is told of lines that are carried over.
const DONE: &str = "`http.compress`: for every client that takes gzip, browsers of 2004 (`Mozilla/4`) too; not \
                    for bodies under 256 bytes; bounded by `at_once`, not by the load";

/// What stands in no listener, in HAProxy's words.
fn lost(why: &str) -> String {
    format!(
        "it compressed answers; now they pass as endpoints send them: {why}; write `compress` of the \
         listener's `http`, or let the application compress"
    )
}

impl Compression {
    /// What a section says of it.
    ///
    /// # Errors
    /// A line says what cannot be done.
    fn read(proxy: &Proxy) -> Result<Self, String> {
        let mut all = Self::default();
        for Set { value, .. } in &proxy.compression {
            let words: Vec<&str> = value.iter().map(String::as_str).collect();
            match words[..] {
                ["algo" | "algo-res", ref algorithms @ ..] if !algorithms.is_empty() => {
                    let by = all.by.get_or_insert_default();
                    by.gzip |= algorithms.contains(&"gzip");
                    by.others |=
                        algorithms.iter().any(|it| ["deflate", "raw-deflate"].contains(it));
                }
                ["type" | "type-res", ref types @ ..] if !types.is_empty() => {
                    all.types.extend(types.iter().map(|it| (*it).to_owned()));
                }
                ["direction", "response"] => {}
                [word, ..] => return Err(format!("`{word}` is not there")),
                [] => return Err("it says nothing".to_owned()),
            }
        }
        Ok(all)
    }

    /// What is done where a section leads to this one; `None`: nothing.
    ///
    /// # Errors
    /// It cannot be done.
    fn behind(self, front: &Self) -> Result<Option<Self>, String> {
        let by = self.by.or(front.by).unwrap_or_default();
        if by.others && !by.gzip {
            return Err("`gzip` is the one algorithm".to_owned());
        }
        let types = if self.types.is_empty() { front.types.clone() } else { self.types };
        // `identity` alone, or types alone, compress nothing.
        Ok(by.gzip.then_some(Self { by: Some(by), types }))
    }
}

/// The pair of a listener's `http`, where it and all that it leads to agree.
pub(super) fn read(work: Work<'_>, front: usize, ledger: &mut Ledger) -> Option<(String, String)> {
    let own = work.proxy(front);
    let backs: Vec<&Proxy> = work
        .reached(front)
        .into_iter()
        .filter(|back| *back != front)
        .map(|back| work.proxy(back))
        .collect();
    let lines: Vec<usize> = std::iter::once(&own)
        .chain(&backs)
        .flat_map(|proxy| proxy.compression.iter().map(|set| set.line))
        .collect();
    match agreed(own, &backs) {
        Ok(None) => {
            let note = "it compresses nothing, in HAProxy either";
            lines.iter().for_each(|line| ledger.otherwise(*line, Kind::Ignored, note));
            None
        }
        Ok(Some(compression)) => {
            for line in lines {
                ledger.tell(line, Kind::Improved, DONE);
                if compression.by.is_some_and(|by| by.others) {
                    let note =
                        "gzip alone: who takes nothing but deflate gets what the endpoint sent";
                    ledger.tell(line, Kind::Improved, note);
                }
            }
            let types = match &compression.types[..] {
                [] => vec![toml::text("*")],
                types => types.iter().map(|it| toml::text(&it.to_ascii_lowercase())).collect(),
            };
            let value = toml::inline(&[pair("types", toml::inline_list(&types))]);
            Some(pair("compress", value))
        }
        Err(why) => {
            lines.iter().for_each(|line| ledger.tell(*line, Kind::Unsupported, lost(&why)));
            None
        }
    }
}

/// What is compressed, whichever section decides: that of the endpoints comes before that of the clients.
fn agreed(own: &Proxy, backs: &[&Proxy]) -> Result<Option<Compression>, String> {
    let of_front = Compression::read(own)?;
    let mut all = Vec::new();
    for back in backs {
        all.push(Compression::read(back)?.behind(&of_front)?);
    }
    if all.is_empty() {
        all.push(of_front.clone().behind(&of_front)?);
    }
    if all.iter().any(|one| *one != all[0]) {
        return Err("the sections that the listener leads to differ in it".to_owned());
    }
    let odd = |it: &String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c);
        !it.chars().all(fits) || it.is_empty()
    };
    let found = all.swap_remove(0);
    match found.as_ref().and_then(|it| it.types.iter().find(|it| odd(it))) {
        Some(odd) => Err(format!("`{odd}` begins no type")),
        None => Ok(found),
    }
}
