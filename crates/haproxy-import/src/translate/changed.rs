//! What rules of requests change. HAProxy's conditions and values are of the request as rules before them have
//! left it; here they are of the request as it came.

use super::template::closing;
use crate::model::acl::{parenthesis, split};
use crate::when::{Key, Leaf, When};
use std::collections::HashSet;

/// `host`, `path`, and header fields in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed(HashSet<String>);

impl Changed {
    pub(super) fn extend(&mut self, what: Option<String>) {
        self.0.extend(what);
    }

    pub(super) fn any(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|it| holds(it))
    }

    /// What of a condition has changed.
    pub(super) fn seen_by(&self, when: &When) -> Option<String> {
        let mut found = None;
        when.leaves(&mut |leaf: &Leaf| {
            let what = match &leaf.key {
                Key::Texts(name) if name.starts_with("host") => "host".to_owned(),
                Key::Texts(name) if name.starts_with("path") => "path".to_owned(),
                Key::Field("header", name, _) => name.to_ascii_lowercase(),
                Key::Field("cookie", ..) => "cookie".to_owned(),
                _ => return,
            };
            if self.0.contains(&what) {
                found.get_or_insert(what);
            }
        });
        found
    }

    /// What of a sample has changed.
    pub(super) fn read_by(&self, sample: &str) -> Option<String> {
        let parts = split(sample);
        let (fetch, argument) = parenthesis(parts.first().map_or("", String::as_str));
        let found = match fetch {
            // `capture.req.uri` and `%HPO` are of the request as it came, with HAProxy, too.
            "base" | "base32" | "path" | "pathq" | "url" | "url_path" => vec!["path".to_owned()],
            name if name.contains("hdr") && !name.starts_with("capture") => {
                let field = argument.unwrap_or_default().split(',').next().unwrap_or_default();
                vec![field.trim().trim_matches(['"', '\'']).to_ascii_lowercase()]
            }
            "cook" | "req.cook" => vec!["cookie".to_owned()],
            _ => Vec::new(),
        };
        let host = fetch.starts_with("base").then(|| "host".to_owned());
        found.into_iter().chain(host).find(|what| self.0.contains(what))
    }

    /// What of it a rule puts into what it writes, or where it leads.
    pub(super) fn written_by(&self, words: &[String]) -> Option<String> {
        let first = words.first().map_or("", String::as_str);
        // They begin with what rules before them have left, here too.
        if ["set-path", "replace-path"].contains(&first) {
            return None;
        }
        let has = |name: &str| first == "redirect" && words.iter().any(|word| word == name);
        let stays = [(has("scheme"), "host"), (has("scheme") || has("prefix"), "path")];
        let stays = stays.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned());
        stays
            .filter(|what| self.0.contains(what))
            .chain(words.iter().flat_map(|word| samples(word)).filter_map(|it| self.read_by(it)))
            .next()
    }
}

/// The insides of each `%[...]`.
fn samples(text: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once("%[") {
        let Some(end) = closing(after) else { break };
        found.push(&after[..end]);
        rest = &after[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_looked_into() {
        let mut changed = Changed::default();
        for what in ["x-a", "host", "path"] {
            changed.extend(Some(what.to_owned()));
        }
        let of = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            changed.written_by(&words)
        };
        for (text, expected) in [
            ("set-header X-B %[req.hdr(X-A)]", "x-a"),
            ("set-header X-B %[src]/%[req.fhdr(x-a,1),lower]", "x-a"),
            ("add-header X-B %[hdr(Host)]", "host"),
            ("set-header X-B %[url]", "path"),
            ("set-header X-B %[base]", "path"),
            ("redirect scheme https", "host"),
            ("redirect prefix https://a.test", "path"),
            ("redirect location https://a.test%[pathq]", "path"),
        ] {
            assert_eq!(of(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "set-header X-A b",
            "set-header X-B %[req.hdr(X-C)]",
            "set-header X-B %HPO",
            "set-path %[path,regsub(^/a,/)]",
            "redirect location https://a.test%[capture.req.uri]",
            "set-header X-B %[src",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
