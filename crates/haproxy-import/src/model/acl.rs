//! ACLs and conditions: `acl NAME FETCH FLAGS PATTERNS`, `if a !b { path /x } || c`, and those that
//! HAProxy has by itself (section 7 of its configuration manual).

/// What is asked of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Criterion {
    /// `hdr`, `path_beg`, `src`, ...
    pub(crate) fetch: String,
    /// Between its parentheses.
    pub(crate) argument: String,
    /// `lower`, `map(...)`, ... behind it.
    pub(crate) converters: Vec<String>,
    /// `-i`
    pub(crate) insensitive: bool,
    /// `-m`
    pub(crate) matching: Option<String>,
    /// `-f`
    pub(crate) files: Vec<String>,
    /// Flags that the importer does not know.
    pub(crate) odd: Vec<String>,
    pub(crate) patterns: Vec<String>,
}

/// A named one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    pub(crate) name: String,
    pub(crate) criterion: Criterion,
    pub(crate) line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Named(String),
    Written(Criterion),
}

/// One of several lists of terms, of which all must hold; each may be negated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) any: Vec<Vec<(bool, Term)>>,
    /// `unless`
    pub(crate) negated: bool,
}

impl Acl {
    /// Reads what stands behind `acl`.
    ///
    /// # Errors
    /// A part is missing.
    pub(crate) fn read(words: &[String], line: usize) -> Result<Self, String> {
        let Some((name, rest)) = words.split_first() else {
            return Err("a name is wanted: HAProxy refuses it".to_owned());
        };
        let criterion = Criterion::read(rest)?;
        Ok(Self { name: name.clone(), criterion, line })
    }
}

impl Criterion {
    /// Reads a criterion.
    ///
    /// # Errors
    /// A part is missing.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let Some((sample, rest)) = words.split_first() else {
            return Err("what is to be asked is missing: HAProxy refuses it".to_owned());
        };
        let mut parts = split(sample).into_iter();
        let first = parts.next().unwrap_or_default();
        let (fetch, argument) = parenthesis(&first);
        let mut criterion = Self {
            fetch: fetch.to_owned(),
            argument: argument.unwrap_or_default().trim_matches(['"', '\'']).to_owned(),
            converters: parts.collect(),
            ..Self::default()
        };
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-i" => criterion.insensitive = true,
                "-n" => {}
                "-m" => criterion.matching = words.next().cloned(),
                "-f" => criterion.files.extend(words.next().cloned()),
                "--" => {
                    criterion.patterns.extend(words.by_ref().cloned());
                }
                "-M" | "-u" => criterion.odd.push(word.clone()),
                _ => {
                    criterion.patterns.push(word.clone());
                    criterion.patterns.extend(words.by_ref().cloned());
                }
            }
        }
        Ok(criterion)
    }
}

/// A sample at the commas between its fetch and its converters.
pub(crate) fn split(sample: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth, mut quote) = (Vec::new(), String::new(), 0_usize, None);
    for char in sample.chars() {
        match char {
            '"' | '\'' if quote == Some(char) => quote = None,
            '"' | '\'' if quote.is_none() && depth > 0 => quote = Some(char),
            '(' if quote.is_none() => depth += 1,
            ')' if quote.is_none() => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(char);
    }
    parts.push(part);
    parts
}

/// `hdr(host)`: the name, and what is in parentheses.
pub(crate) fn parenthesis(text: &str) -> (&str, Option<&str>) {
    match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(rest))),
        None => (text, None),
    }
}

/// Reads what stands behind `if` or, `negated`, behind `unless`.
///
/// # Errors
/// A brace is not closed, or has nothing in it.
pub(crate) fn condition(words: &[String], negated: bool) -> Result<Condition, String> {
    let mut any = vec![Vec::new()];
    let mut not = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut word = word.as_str();
        while let Some(rest) = word.strip_prefix('!') {
            not = !not;
            word = rest;
        }
        let term = match word {
            "" => continue,
            "or" | "OR" | "||" => {
                any.push(Vec::new());
                continue;
            }
            "{" => {
                let mut inside = Vec::new();
                loop {
                    match words.next() {
                        Some(word) if word == "}" => break,
                        Some(word) => inside.push(word.clone()),
                        None => return Err("a `{` has no `}`: HAProxy refuses it".to_owned()),
                    }
                }
                Term::Written(Criterion::read(&inside)?)
            }
            name => Term::Named(name.to_owned()),
        };
        if let Some(all) = any.last_mut() {
            all.push((std::mem::take(&mut not), term));
        }
    }
    // An `||` more than there need be is passed over, and what says nothing never holds.
    any.retain(|all| !all.is_empty());
    Ok(Condition { any, negated })
}

/// An ACL that is there without being written (section 7.4).
pub(crate) fn predefined(name: &str) -> Option<Criterion> {
    let text = match name {
        "TRUE" | "WAIT_END" => "always_true",
        "FALSE" => "always_false",
        "LOCALHOST" => "src 127.0.0.1/8",
        "METH_CONNECT" => "method CONNECT",
        "METH_DELETE" => "method DELETE",
        "METH_GET" => "method GET HEAD",
        "METH_HEAD" => "method HEAD",
        "METH_OPTIONS" => "method OPTIONS",
        "METH_POST" => "method POST",
        "METH_PUT" => "method PUT",
        "METH_TRACE" => "method TRACE",
        "HTTP" => "req_proto_http",
        "HTTP_1.0" => "req_ver 1.0",
        "HTTP_1.1" => "req_ver 1.1",
        "HTTP_2.0" => "req_ver 2.0",
        "HTTP_CONTENT" => "req.hdr_val(content-length) gt 0",
        "HTTP_URL_ABS" => "url_reg ^[^/:]*://",
        "HTTP_URL_SLASH" => "url_beg /",
        "HTTP_URL_STAR" => "url *",
        "REQ_CONTENT" => "req.len gt 0",
        "RDP_COOKIE" => "req.rdp_cookie_cnt gt 0",
        _ => return None,
    };
    let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    Criterion::read(&words).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn criteria_have_flags_and_converters() {
        let read =
            Criterion::read(&words("hdr(host),lower,map(/x) -i -m end -f /f a -i b")).unwrap();
        assert_eq!((read.fetch.as_str(), read.argument.as_str()), ("hdr", "host"));
        assert_eq!(read.converters, ["lower", "map(/x)"]);
        assert!(read.insensitive && read.matching.as_deref() == Some("end"));
        assert_eq!((read.files, read.patterns), (words("/f"), words("a -i b")));
        let read = Criterion::read(&words("path -- -i")).unwrap();
        assert_eq!(read.patterns, ["-i"]);
        assert!(Criterion::read(&[]).is_err());
    }

    #[test]
    fn samples_are_cut_outside_of_parentheses() {
        assert_eq!(split("path,regsub(^/a,(b),\"x),\"),lower").len(), 3);
        assert_eq!(split("path"), ["path"]);
    }

    #[test]
    fn conditions_are_lists_of_lists() {
        let read =
            condition(&words("a !b { path /x } || ! c or !{ src 10.0.0.1 }"), false).unwrap();
        let shown: Vec<Vec<_>> = read
            .any
            .iter()
            .map(|all| {
                all.iter()
                    .map(|(not, term)| match term {
                        Term::Named(name) => (*not, name.clone()),
                        Term::Written(it) => (*not, it.fetch.clone()),
                    })
                    .collect()
            })
            .collect();
        let of = |not, name: &str| (not, name.to_owned());
        assert_eq!(
            shown,
            [
                vec![of(false, "a"), of(true, "b"), of(false, "path")],
                vec![of(true, "c")],
                vec![of(true, "src")]
            ]
        );
        for wrong in ["{ path /x", "{ }"] {
            assert!(condition(&words(wrong), false).is_err(), "{wrong}");
        }
        // As HAProxy takes them.
        for (text, lists) in [("", 0), ("a ||", 1), ("|| a", 1), ("a || || b", 2)] {
            assert_eq!(condition(&words(text), false).unwrap().any.len(), lists, "{text}");
        }
    }

    #[test]
    fn those_of_haproxy_itself_are_known() {
        for name in ["TRUE", "HTTP", "METH_GET", "LOCALHOST", "HTTP_1.0"] {
            assert!(predefined(name).is_some(), "{name}");
        }
        assert_eq!(predefined("true"), None);
    }
}
