//! Conditions as the configuration has them, made simple.

use crate::toml;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Never,
    Is(Leaf),
    Not(Box<When>),
    All(Vec<When>),
    Any(Vec<When>),
}

/// What is asked directly: one of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) key: Key,
    pub(crate) values: Vec<String>,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A key whose value is a list of texts: `host`, `path`, `source`, ...
    Texts(&'static str),
    Port,
    /// A key whose value is a table of a name with a number, and the name: `available`, ...
    Number(&'static str, String),
    /// `header`, `query` or `cookie`, the name, and `exact`, `prefix`, `suffix`, `regex`, or
    /// `present`, which has no values.
    Field(&'static str, String, &'static str),
}

impl When {
    pub(crate) fn texts(key: &'static str, values: Vec<String>) -> Self {
        Self::Is(Leaf { key: Key::Texts(key), values })
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for part in parts {
            match part {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        dedup(&mut kept);
        match kept.len() {
            0 => Self::Always,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for part in parts {
            match part {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Any(inner) => kept.extend(inner),
                // The lesser of two numbers says it, and nobody writes both.
                Self::Is(leaf) if !matches!(leaf.key, Key::Number(..)) => merge(&mut kept, leaf),
                other => kept.push(other),
            }
        }
        dedup(&mut kept);
        match kept.len() {
            0 => Self::Never,
            1 => kept.remove(0),
            _ => Self::Any(kept),
        }
    }

    /// The pairs of a route, rule or condition; none where it always holds.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        if let Some(pairs) = self.direct() {
            return pairs;
        }
        vec![("when".to_owned(), self.inline())]
    }

    /// The pairs, where all are leaves of which no two have the same key.
    fn direct(&self) -> Option<Vec<(String, String)>> {
        let parts = match self {
            Self::Always => return Some(Vec::new()),
            Self::Is(_) => std::slice::from_ref(self),
            Self::All(parts) => parts.as_slice(),
            _ => return None,
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in parts {
            let Self::Is(leaf) = part else { return None };
            let (name, value) = leaf.pair();
            if pairs.iter().any(|(known, _)| *known == name) {
                return None;
            }
            pairs.push((name, value));
        }
        Some(pairs)
    }

    fn inline(&self) -> String {
        if let Some(pairs) = self.direct().filter(|pairs| !pairs.is_empty()) {
            return toml::inline(&pairs);
        }
        let pair = |name: &str, value: String| toml::inline(&[(name.to_owned(), value)]);
        let several =
            |parts: &[Self]| toml::inline_list(&parts.iter().map(Self::inline).collect::<Vec<_>>());
        match self {
            Self::Not(inner) => pair("not", inner.inline()),
            Self::All(parts) => pair("all", several(parts)),
            Self::Any(parts) => pair("any", several(parts)),
            Self::Is(leaf) => toml::inline(&[leaf.pair()]),
            // Every client has an address.
            Self::Always => pair("source", "[\"0.0.0.0/0\", \"::/0\"]".to_owned()),
            Self::Never => pair("not", Self::Always.inline()),
        }
    }

    /// Whether both can never hold together: they ask for other hosts, paths, names or methods.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let of = |when: &Self, key: &Key| -> Option<Vec<String>> {
            let parts = match when {
                Self::Is(_) => std::slice::from_ref(when),
                Self::All(parts) => parts.as_slice(),
                _ => return None,
            };
            parts.iter().find_map(|part| match part {
                Self::Is(leaf) if leaf.key == *key => Some(leaf.values.clone()),
                _ => None,
            })
        };
        ["host", "path", "server_name", "method"].into_iter().any(|name| {
            let key = Key::Texts(name);
            let plain = |values: &[String]| !values.iter().any(|it| it.starts_with(['*', '@']));
            match (of(self, &key), of(other, &key)) {
                (Some(one), Some(two)) => {
                    let same = |it: &String| two.iter().any(|that| that.eq_ignore_ascii_case(it));
                    plain(&one) && plain(&two) && !one.iter().any(same)
                }
                _ => false,
            }
        })
    }

    /// Visits what is asked directly.
    pub(crate) fn leaves<'w>(&'w self, visit: &mut dyn FnMut(&'w Leaf)) {
        match self {
            Self::Always | Self::Never => {}
            Self::Is(leaf) => visit(leaf),
            Self::Not(inner) => inner.leaves(visit),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.leaves(visit));
            }
        }
    }

    /// How many conditions it is made of.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Always | Self::Never | Self::Is(_) => 1,
            Self::Not(inner) => inner.size() + 1,
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::size).sum::<usize>(),
        }
    }
}

impl Leaf {
    fn pair(&self) -> (String, String) {
        let texts: Vec<_> = self.values.iter().map(|value| toml::text(value)).collect();
        match &self.key {
            Key::Texts(name) => ((*name).to_owned(), toml::inline_list(&texts)),
            Key::Port => ("port".to_owned(), toml::inline_list(&self.values)),
            Key::Number(key, name) => {
                let number = self.values.first().cloned().unwrap_or_default();
                ((*key).to_owned(), toml::inline(&[(name.clone(), number)]))
            }
            Key::Field(kind, name, how) => {
                let asked = match *how {
                    "present" => "true".to_owned(),
                    "exact" => toml::inline_list(&texts),
                    how => toml::inline(&[(how.to_owned(), toml::inline_list(&texts))]),
                };
                ((*kind).to_owned(), toml::inline(&[(name.clone(), asked)]))
            }
        }
    }
}

/// One of these or one of those is one of all.
fn merge(kept: &mut Vec<When>, leaf: Leaf) {
    for known in kept.iter_mut() {
        if let When::Is(known) = known
            && known.key == leaf.key
        {
            for value in leaf.values {
                // Long lists are not searched for what stands there twice.
                if known.values.len() > 256 || !known.values.contains(&value) {
                    known.values.push(value);
                }
            }
            return;
        }
    }
    kept.push(When::Is(leaf));
}

fn dedup(parts: &mut Vec<When>) {
    let mut kept: Vec<When> = Vec::with_capacity(parts.len());
    for part in parts.drain(..) {
        // What is long is compared with nothing: lists of thousands stay as they are.
        if kept.len() > 64 || !kept.contains(&part) {
            kept.push(part);
        }
    }
    *parts = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(key: &'static str, value: &str) -> When {
        When::texts(key, vec![value.to_owned()])
    }

    #[test]
    fn conditions_are_made_simple() {
        assert_eq!(When::all([When::Always, is("host", "a")]), is("host", "a"));
        assert_eq!(When::all([When::Never, is("host", "a")]), When::Never);
        assert_eq!(When::any([When::Never, When::Always]), When::Always);
        assert_eq!(When::any([]), When::Never);
        assert_eq!(is("host", "a").negated().negated(), is("host", "a"));
        let merged = When::any([is("host", "a"), is("host", "b"), is("host", "a")]);
        assert_eq!(merged, When::texts("host", vec!["a".into(), "b".into()]));
        assert!(is("host", "a").excludes(&is("host", "b")));
        assert!(!is("host", "a").excludes(&is("host", "A")));
        assert!(!is("host", "a").excludes(&is("host", "*.b")));
        assert!(!is("host", "a").excludes(&is("path", "/b")));
    }

    #[test]
    fn they_are_written_as_short_as_can_be() {
        let shown = |when: &When| toml::inline(&when.pairs());
        let both = When::all([is("host", "a"), is("path", "/b")]);
        assert_eq!(shown(&both), r#"{ host = ["a"], path = ["/b"] }"#);
        let twice = When::all([is("host", "a"), is("host", "b")]);
        assert_eq!(shown(&twice), r#"{ when = { all = [{ host = ["a"] }, { host = ["b"] }] } }"#);
        let not = both.negated();
        assert_eq!(shown(&not), r#"{ when = { not = { host = ["a"], path = ["/b"] } } }"#);
        let field =
            Leaf { key: Key::Field("header", "X-A".into(), "prefix"), values: vec!["b".into()] };
        assert_eq!(shown(&When::Is(field)), r#"{ header = { X-A = { prefix = ["b"] } } }"#);
        assert_eq!(When::Always.pairs(), []);
    }
}
