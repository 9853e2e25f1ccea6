//! What was found, for people and for programs.

use crate::causes::{Class, Difference};
use crate::client::Request;
use crate::comparison::{Compared, Found};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Requests that are shown of those that differ in the same way.
const ALIKE: usize = 3;

/// Class, aspect, and line or reason: what requests that differ in the same way have in common.
type Alike = (Class, String, String);

/// What is not compared, in every report.
pub(crate) const NOT_COMPARED: &str = "\
not compared: the text of error pages and of redirects, the order and letter case of header fields, fields
of one connection (`Connection`, `Keep-Alive`, `Date`, lengths), which endpoint of several takes its turn,
times, logs, pages of figures, HTTP/2, and what takes more than one connection (limits, tables, queues)";

impl Found {
    /// How many requests are of a class; `None`: equal.
    pub(crate) fn count(&self, class: Option<Class>) -> usize {
        self.compared.iter().filter(|it| it.class() == class).count()
    }

    /// Verdicts, and sets of endpoints.
    fn others(&self) -> impl Iterator<Item = &Difference> {
        self.verdicts.differences.iter().chain(&self.spread)
    }

    /// Whether everything is equal, or better by what the importer says; and everything was compared.
    pub(crate) fn is_well(&self) -> bool {
        let well = |class: Option<Class>| class.is_none_or(|it| it == Class::Improved);
        self.compared.iter().all(|it| well(it.class()))
            && self.others().all(|it| it.class == Class::Improved)
            && self.is_whole()
    }

    /// Whether what was to be compared was: what was not is not equal.
    fn is_whole(&self) -> bool {
        let missing = self.unsent + self.verdicts.missing + self.verdicts.left_out;
        missing == 0 && self.answered > 0
    }

    /// For people.
    pub(crate) fn human(&self) -> String {
        let mut text = format!("{}\n", self.haproxy);
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", printable(note));
        }
        let mut alike: BTreeMap<Alike, Vec<(&Compared, &Difference)>> = BTreeMap::new();
        for compared in &self.compared {
            for difference in &compared.differences {
                let line = difference.line.clone().unwrap_or_else(|| difference.why.clone());
                let key = (difference.class, difference.raw.aspect.words(), line);
                alike.entry(key).or_default().push((compared, difference));
            }
        }
        for ((class, aspect, _), all) in alike.iter().rev() {
            let Some((_, first)) = all.first() else { continue };
            let _ = writeln!(text, "\n{} ({}): {aspect}", class.word(), requests(all.len()));
            explanation(&mut text, first);
            for (compared, difference) in all.iter().take(ALIKE) {
                let _ = writeln!(text, "  {}", printable(&shown(&compared.request, &compared.at)));
                sides(&mut text, difference);
            }
        }
        for difference in self.others() {
            let aspect = difference.raw.aspect.words();
            let _ = writeln!(text, "\n{}: {aspect}", difference.class.word());
            explanation(&mut text, difference);
            sides(&mut text, difference);
        }
        let _ = writeln!(text, "\n{NOT_COMPARED}");
        let _ = writeln!(text, "{}", self.sum());
        text
    }

    fn sum(&self) -> String {
        let mut parts = vec![format!("{} equal", self.count(None))];
        for class in [Class::Improved, Class::Unsupported, Class::Differs] {
            parts.push(format!("{} {}", self.count(Some(class)), class.word()));
        }
        if self.unsent > 0 {
            parts.push(format!("{} not sent, for the time was over", self.unsent));
        }
        if self.once > 0 {
            parts.push(format!("{} differed once and no more when sent again", self.once));
        }
        if self.answered == 0 {
            parts.push("none of them answered by either, so that nothing was compared".to_owned());
        }
        let mut verdicts = format!("{} verdicts", self.verdicts.compared);
        match self.verdicts.differences.len() {
            0 if self.verdicts.compared == 0 => {}
            0 => verdicts.push_str(", all equal"),
            count => {
                let _ = write!(verdicts, ", {count} of them not equal");
            }
        }
        if self.verdicts.missing > 0 {
            let _ = write!(verdicts, "; {} that could not be had", self.verdicts.missing);
        }
        if self.verdicts.left_out > 0 {
            verdicts.push_str("; not all rounds, for the time was over");
        }
        format!(
            "{}: {} (seed {}); {verdicts}",
            requests(self.compared.len()),
            parts.join(", "),
            self.seed
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let of = |difference: &Difference| {
            json!({
                "class": difference.class.word(),
                "what": difference.raw.aspect.words(),
                "haproxy": difference.raw.haproxy,
                "eclusa": difference.raw.ours,
                "why": difference.why,
                "line": difference.line,
            })
        };
        let differing = self.compared.iter().filter(|it| it.class().is_some());
        let requests: Vec<Value> = differing
            .map(|it| {
                json!({
                    "request": shown(&it.request, &it.at),
                    "class": it.class().map(Class::word),
                    "differences": it.differences.iter().map(of).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "outcome": "compared",
            "haproxy": self.haproxy,
            "seed": self.seed,
            "well": self.is_well(),
            "requests": self.compared.len(),
            "unsent": self.unsent,
            "answered": self.answered,
            "differed_once": self.once,
            "equal": self.count(None),
            "improved": self.count(Some(Class::Improved)),
            "unsupported": self.count(Some(Class::Unsupported)),
            "differs": self.count(Some(Class::Differs)),
            "verdicts": self.verdicts.compared,
            "verdicts_missing": self.verdicts.missing,
            "rounds_left_out": self.verdicts.left_out,
            "differences": requests,
            "of_endpoints": self.others().map(of).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

fn requests(count: usize) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

fn explanation(text: &mut String, difference: &Difference) {
    if let Some(line) = &difference.line {
        let _ = writeln!(text, "  {}", printable(line));
    }
    if !difference.why.is_empty() {
        let _ = writeln!(text, "  {}", printable(&difference.why));
    }
}

fn sides(text: &mut String, difference: &Difference) {
    let _ = writeln!(text, "    HAProxy: {}", printable(&difference.raw.haproxy));
    let _ = writeln!(text, "    Eclusa:  {}", printable(&difference.raw.ours));
}

/// A request on one line.
fn shown(request: &Request, at: &str) -> String {
    let mut text = format!("{at}: {} {}", request.method, request.target);
    if let Some(host) = &request.host {
        let _ = write!(text, ", Host: {host}");
    }
    for (name, value) in &request.fields {
        let value = if name == "Authorization" { "..." } else { value.as_str() };
        let _ = write!(text, ", {name}: {value}");
    }
    if let Some(name) = &request.tls {
        let _ = write!(text, ", TLS for {name}");
    }
    if request.wanted != 200 {
        let _ = write!(text, ", answered with {}", request.wanted);
    }
    text + &format!(", from {}", request.source.ip())
}

/// Nothing that a terminal would obey.
fn printable(text: &str) -> String {
    let plain = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdicts;

    #[test]
    fn what_was_not_compared_is_not_well() {
        let well = || Found { answered: 1, ..Found::default() };
        assert!(well().is_well());
        let verdicts = |missing, left_out| Verdicts { missing, left_out, ..Verdicts::default() };
        for (found, told) in [
            (Found::default(), "so that nothing was compared"),
            (Found { unsent: 1, ..well() }, "1 not sent"),
            (Found { verdicts: verdicts(2, 0), ..well() }, "2 that could not be had"),
            (Found { verdicts: verdicts(0, 1), ..well() }, "not all rounds"),
        ] {
            assert!(!found.is_well(), "{told}");
            let human = found.human();
            assert!(human.contains(told) && !human.contains("all equal"), "{human}");
            assert_eq!(found.json()["well"], false);
        }
    }
}
