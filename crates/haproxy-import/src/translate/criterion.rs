//! What ACLs ask, as conditions.

use super::known::Known;
use crate::model::acl::{Acl, Condition, Criterion, Term, predefined};
use crate::report::{Kind, Ledger};
use crate::values;
use crate::when::{Key, Leaf, When};
use std::collections::HashMap;

/// Where a condition is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    /// Requests are seen.
    pub(crate) http: bool,
    /// TLS is opened.
    pub(crate) tls: bool,
    /// It is an answer that is seen.
    pub(crate) answers: bool,
}

/// Conditions of a section: its ACLs, and where they are asked.
#[derive(Clone)]
pub(super) struct Asking<'a> {
    acls: HashMap<&'a str, Vec<&'a Acl>>,
    pub(super) scene: Scene,
    /// What they can name beside the request.
    pub(super) known: &'a Known<'a>,
    /// They are asked behind all rules of the section that clients come in by.
    pub(super) late: bool,
}

impl<'a> Asking<'a> {
    pub(super) fn new(acls: &'a [Acl], scene: Scene, known: &'a Known<'a>) -> Self {
        let mut named: HashMap<&str, Vec<&Acl>> = HashMap::new();
        for acl in acls {
            named.entry(&acl.name).or_default().push(acl);
        }
        Self { acls: named, scene, known, late: false }
    }

    /// The same, asked behind all rules of the section that clients come in by.
    pub(super) fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// The ACLs of a name.
    pub(super) fn named(&self, name: &str) -> &[&'a Acl] {
        self.acls.get(name).map_or(&[], Vec::as_slice)
    }

    /// The condition of a line; lines of ACLs that it names are judged.
    ///
    /// # Errors
    /// What cannot be asked.
    pub(super) fn when(
        &self,
        condition: Option<&Condition>,
        line: usize,
        ledger: &mut Ledger,
    ) -> Result<When, String> {
        let Some(condition) = condition else { return Ok(When::Always) };
        let mut any = Vec::new();
        let mut wrong = None;
        for list in &condition.any {
            let mut all = Vec::new();
            for (not, term) in list {
                match self.term(term, line, ledger) {
                    Ok(when) => all.push(if *not { when.negated() } else { when }),
                    Err(why) => drop(wrong.get_or_insert(why)),
                }
            }
            any.push(When::all(all));
        }
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let when = When::any(any);
        Ok(if condition.negated { when.negated() } else { when })
    }

    fn term(&self, term: &Term, line: usize, ledger: &mut Ledger) -> Result<When, String> {
        let name = match term {
            Term::Written(criterion) => return self.asked(criterion, line, (line, &mut *ledger)),
            Term::Named(name) => name,
        };
        let named = self.named(name);
        if named.is_empty() {
            let criterion = predefined(name)
                .ok_or_else(|| format!("there is no ACL `{name}`: HAProxy refuses it"))?;
            return self
                .asked(&criterion, line, (line, &mut *ledger))
                .map_err(|why| format!("`{name}`: {why}"));
        }
        let mut any = Vec::new();
        let mut wrong = None;
        for acl in named {
            match self.asked(&acl.criterion, line, (acl.line, &mut *ledger)) {
                Ok(when) => {
                    ledger.same(acl.line);
                    any.push(when);
                }
                Err(why) => {
                    let note = format!("{why}; what uses it is not carried over; see there");
                    ledger.tell(acl.line, Kind::Unsupported, note);
                    wrong = Some(format!("the ACL `{name}` cannot be asked"));
                }
            }
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(When::any(any)),
        }
    }

    /// A criterion as a condition. `line`: that of the rule that asks.
    fn asked(
        &self,
        criterion: &Criterion,
        line: usize,
        told: (usize, &mut Ledger),
    ) -> Result<When, String> {
        let at = (line, self.late, self.scene.answers);
        if let Some(resolved) = self.known.resolved(criterion, at)? {
            // It was remembered while the request was there.
            return asked(&resolved, Scene { answers: false, ..self.scene }, told);
        }
        let counted = || self.known.counted(criterion, (line, self.late));
        match self.known.available(criterion).or_else(counted) {
            Some(when) => when,
            None => asked(criterion, self.scene, told),
        }
    }
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The whole of it.
    Exact,
    /// How it begins.
    Prefix,
    /// How it ends.
    Suffix,
    /// Anywhere.
    Part,
    /// Between slashes.
    Segment,
    /// Between dots.
    Label,
    /// By a regular expression.
    Regex,
    /// It is there.
    Found,
}

/// The fetch without what its name says of the comparison, and that.
pub(crate) fn comparison(criterion: &Criterion) -> Result<(&str, How), String> {
    let ends = [
        ("_beg", How::Prefix),
        ("_end", How::Suffix),
        ("_sub", How::Part),
        ("_dir", How::Segment),
        ("_dom", How::Label),
        ("_reg", How::Regex),
    ];
    let fetch = criterion.fetch.as_str();
    let named = ends.iter().find_map(|(end, how)| Some((fetch.strip_suffix(end)?, *how)));
    let (base, how) = named.unwrap_or((fetch, How::Exact));
    let how = match criterion.matching.as_deref() {
        None => how,
        Some("str") => How::Exact,
        Some("beg") => How::Prefix,
        Some("end") => How::Suffix,
        Some("sub") => How::Part,
        Some("dir") => How::Segment,
        Some("dom") => How::Label,
        Some("reg") => How::Regex,
        Some("found") => How::Found,
        Some("ip") if base == "src" => How::Exact,
        Some("int") if base == "dst_port" => How::Exact,
        Some(other) => return Err(format!("comparing by `-m {other}` cannot be asked")),
    };
    Ok((base, how))
}

/// A criterion as a condition. `told`: the line that is to hear what differs.
fn asked(criterion: &Criterion, scene: Scene, told: (usize, &mut Ledger)) -> Result<When, String> {
    if let Some(odd) = criterion.odd.first() {
        return Err(format!("the flag `{odd}` is not known"));
    }
    let lower = criterion.converters.iter().all(|it| it == "lower" || it == "host_only");
    if !lower {
        return Err(format!("the converter `{}` cannot be asked", criterion.converters.join(",")));
    }
    let insensitive = criterion.insensitive || !criterion.converters.is_empty();
    let (base, how) = comparison(criterion)?;
    if !criterion.files.is_empty() && !is_listed(criterion) {
        return Err("patterns of a file (`-f`) can be asked of addresses and names only".into());
    }
    let values = || -> Result<&[String], String> {
        let none = criterion.patterns.is_empty() && how != How::Found;
        if none { Err("nothing is compared".to_owned()) } else { Ok(&criterion.patterns) }
    };
    match base {
        "always_true" => Ok(When::Always),
        "always_false" => Ok(When::Never),
        "ssl_fc" => Ok(if scene.tls { When::Always } else { When::Never }),
        "req_proto_http" | "req.proto_http" if scene.http => Ok(When::Always),
        "src" => source(criterion),
        "dst_port" => ports(values()?),
        "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => server_name(criterion, how, scene),
        "hdr" | "cook" | "status" if scene.answers => {
            Err(format!("`{}` of answers cannot be asked", criterion.fetch))
        }
        _ if !scene.http => Err(format!("`{}` cannot be asked of TCP", criterion.fetch)),
        "path" | "urlp" | "url_param" if scene.answers => {
            let (line, ledger) = told;
            let note = format!(
                "`{}` is not known of answers, in HAProxy either: the condition does not hold",
                criterion.fetch
            );
            ledger.tell(line, Kind::Ignored, note);
            Ok(When::Never)
        }
        "method" => methods(values()?),
        "path" => path(values()?, how, insensitive),
        "hdr" | "req.hdr" | "req.fhdr" | "fhdr" if is_host(criterion) => host(criterion, how, told),
        "hdr" | "req.hdr" | "req.fhdr" | "fhdr" => {
            field(("header", &criterion.argument), values()?, how, insensitive)
        }
        "cook" | "req.cook" => field(("cookie", &criterion.argument), values()?, how, insensitive),
        "urlp" | "url_param" => field(("query", &criterion.argument), values()?, how, insensitive),
        _ => Err(format!("`{}` cannot be asked", criterion.fetch)),
    }
}

/// Whether a list may come from a file.
fn is_listed(criterion: &Criterion) -> bool {
    let plain = criterion.files.iter().all(|file| file.starts_with('/'));
    let fetch = criterion.fetch.as_str();
    plain && (fetch == "src" || is_host(criterion) || fetch.ends_with("ssl_sni"))
}

fn is_host(criterion: &Criterion) -> bool {
    let name = criterion.argument.split(',').next().unwrap_or_default();
    criterion.fetch.contains("hdr") && name.trim().eq_ignore_ascii_case("host")
}

/// Patterns, and those in files as `@FILE`.
fn with_files(criterion: &Criterion, patterns: Vec<String>) -> Result<Vec<String>, String> {
    let files = criterion.files.iter().map(|file| format!("@{file}"));
    let values: Vec<_> = patterns.into_iter().chain(files).collect();
    if values.is_empty() { Err("nothing is compared".to_owned()) } else { Ok(values) }
}

fn source(criterion: &Criterion) -> Result<When, String> {
    let networks = criterion.patterns.iter().map(|text| {
        values::network(text).ok_or_else(|| format!("`{text}` is no address that can be asked"))
    });
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    Ok(When::texts("source", with_files(criterion, networks)?))
}

fn ports(patterns: &[String]) -> Result<When, String> {
    let mut ports = Vec::new();
    for text in patterns.iter().filter(|text| *text != "eq") {
        let wrong = || format!("`{text}` is no port that can be asked");
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let first: u16 = first.parse().map_err(|_| wrong())?;
        let last: u16 = last.parse().map_err(|_| wrong())?;
        if first == 0 || last < first || last - first > 1_000 {
            return Err(wrong());
        }
        ports.extend((first..=last).map(|port| port.to_string()));
    }
    if ports.is_empty() {
        return Err("nothing is compared".to_owned());
    }
    Ok(When::Is(Leaf { key: Key::Port, values: ports }))
}

fn methods(patterns: &[String]) -> Result<When, String> {
    let fits = |text: &String| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if patterns.iter().all(fits) {
        Ok(When::texts("method", patterns.to_vec()))
    } else {
        Err("a method that is not in upper case is never sent".to_owned())
    }
}

/// A name, or `*.` and a name.
fn is_name(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Names to compare a host or a server name with.
fn names(patterns: &[String], how: How) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for text in patterns {
        let name = match how {
            How::Exact if is_name(text) => text.clone(),
            How::Suffix if text.starts_with('.') && is_name(&text[1..]) => format!("*{text}"),
            How::Suffix => {
                return Err(format!(
                    "names that end in `{text}` cannot be asked, only whole ones, and all below one"
                ));
            }
            How::Exact => return Err(format!("`{text}` is no name that can be asked")),
            _ => return Err("only whole names, and all below one, can be asked".to_owned()),
        };
        // Long lists are not searched for what stands there twice.
        if names.len() > 256 || !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn server_name(criterion: &Criterion, how: How, scene: Scene) -> Result<When, String> {
    if criterion.fetch.starts_with("ssl_fc_sni") != scene.tls || (scene.http && !scene.tls) {
        return Err("nobody knows a server name here".to_owned());
    }
    let names = names(&criterion.patterns, how)?;
    Ok(When::texts("server_name", with_files(criterion, names)?))
}

fn host(
    criterion: &Criterion,
    how: How,
    (line, ledger): (usize, &mut Ledger),
) -> Result<When, String> {
    ledger.note("hosts are compared without their port: `Host: a.test:8080` is `a.test`");
    let mut patterns = Vec::new();
    for text in &criterion.patterns {
        // `shop.example.com:443`
        let bare = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        if bare.is_some()
            && !criterion.patterns.iter().any(|it| Some(it.as_str()) == bare.map(|b| b.0))
        {
            let note = "hosts are compared without their port: any port does";
            ledger.tell(line, Kind::Improved, note);
        }
        patterns.push(bare.map_or(text.as_str(), |(name, _)| name).to_owned());
    }
    let is_address = |text: &String| text.parse::<std::net::IpAddr>().is_ok();
    if how == How::Exact && !patterns.is_empty() && patterns.iter().all(is_address) {
        return Ok(When::texts("host", patterns));
    }
    let below = |text: &String| text.starts_with('.') && is_name(&text[1..]);
    let key = match how {
        How::Exact => None,
        How::Suffix if patterns.iter().all(below) => None,
        How::Found => return Err("whether there is a host is no comparison".to_owned()),
        How::Prefix => Some("host_prefix"),
        _ => Some("host_regex"),
    };
    let Some(key) = key else {
        let names = names(&patterns, how)?;
        return Ok(When::texts("host", with_files(criterion, names)?));
    };
    if !criterion.files.is_empty() {
        return Err("patterns of a file (`-f`) can be asked of whole names only".to_owned());
    }
    if patterns.is_empty() || patterns.iter().any(String::is_empty) {
        return Err("nothing is compared".to_owned());
    }
    if key == "host_prefix" {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.[".contains(c);
        let odd = criterion.patterns.iter().find(|text| text.is_empty() || !text.chars().all(fits));
        return match odd {
            Some(text) => Err(format!("`{text}` is no beginning of a name that can be asked")),
            None => Ok(When::texts(key, criterion.patterns.clone())),
        };
    }
    if how == How::Regex {
        let note = "hosts are compared without their port, in either case";
        ledger.tell(line, Kind::Improved, note);
    }
    let expressions = patterns.iter().map(|text| as_expression(text, how, true));
    Ok(When::texts(key, expressions.collect::<Result<Vec<_>, _>>()?))
}

/// A text without meaning of its own in a regular expression.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        if r"\.+*?()|[]{}^$".contains(char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// Whether the programs read it as a regular expression.
pub(crate) fn expression(text: &str) -> Result<String, String> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
    if text.is_empty() || text.len() > 1_000 || parsed.is_err() {
        return Err(format!(
            "the regular expression `{text}` has what is not known here (look-around, \
             back-references)"
        ));
    }
    Ok(text.to_owned())
}

/// `^/api` and the like: what a comparison means as a regular expression.
fn as_expression(text: &str, how: How, insensitive: bool) -> Result<String, String> {
    let plain = escaped(text);
    let trimmed = escaped(text.trim_matches('/'));
    let body = match how {
        How::Exact => format!("^{plain}$"),
        How::Prefix => format!("^{plain}"),
        How::Suffix => format!("{plain}$"),
        How::Part => plain,
        How::Segment => format!("(^|/){trimmed}(/|$)"),
        How::Label => format!(r"(^|\.){}(\.|$)", escaped(text.trim_matches('.'))),
        How::Regex => text.to_owned(),
        How::Found => return Err("whether it is there is no comparison".to_owned()),
    };
    expression(&if insensitive { format!("(?i){body}") } else { body })
}

fn path(patterns: &[String], how: How, insensitive: bool) -> Result<When, String> {
    let odd = |text: &String| text.contains(['?', '#', '%']) || text.chars().any(char::is_control);
    if let Some(text) = patterns.iter().find(|text| odd(text) && how != How::Regex) {
        return Err(format!("`{text}` is never a part of a path as it is compared"));
    }
    match how {
        How::Found => Ok(When::Always),
        How::Exact if !insensitive && patterns.iter().all(|text| is_normal(text)) => {
            Ok(When::texts("path", patterns.to_vec()))
        }
        How::Suffix if !insensitive => Ok(When::texts("path_suffix", patterns.to_vec())),
        _ => {
            let of = |text: &String| as_expression(text, how, insensitive);
            let all = patterns.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            Ok(When::texts("path_regex", all))
        }
    }
}

/// Whether paths are compared in this form.
fn is_normal(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains("//")
        && !text.split('/').any(|it| it == "." || it == "..")
}

fn field(
    (kind, name): (&'static str, &str),
    patterns: &[String],
    how: How,
    insensitive: bool,
) -> Result<When, String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let name = name.split(',').next().unwrap_or_default().trim();
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("`{name}` is no name that can be asked"));
    }
    let leaf = |how, values| When::Is(Leaf { key: Key::Field(kind, name.to_owned(), how), values });
    let odd = |text: &String| text.is_empty() || text.chars().any(char::is_control);
    if patterns.iter().any(odd) {
        return Err("an empty text cannot be asked".to_owned());
    }
    Ok(match how {
        How::Found => leaf("present", Vec::new()),
        How::Exact if !insensitive => leaf("exact", patterns.to_vec()),
        How::Prefix if !insensitive => leaf("prefix", patterns.to_vec()),
        How::Suffix if !insensitive => leaf("suffix", patterns.to_vec()),
        _ => {
            let of = |text: &String| as_expression(text, how, insensitive);
            leaf("regex", patterns.iter().map(of).collect::<Result<Vec<_>, _>>()?)
        }
    })
}
