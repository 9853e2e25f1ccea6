//! What `http-request` and its kin do, as actions of rules.

use super::criterion::expression;
use super::template::{is_field, template};
use crate::model::acl::split;
use crate::report::Kind;
use crate::toml;

/// An action, and what else there is to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Action {
    /// The pairs of the rule, without its condition.
    pub(crate) pairs: Vec<(String, String)>,
    /// What it changes of the request, of which conditions behind it would see the old state:
    /// `host`, `path`, or a header field in lower case.
    pub(crate) changes: Option<String>,
    /// It only ends the list: `allow`.
    pub(crate) allows: bool,
    pub(crate) notes: Vec<(Kind, String)>,
}

impl Action {
    pub(super) fn of(name: &str, value: String) -> Self {
        Self { pairs: vec![(name.to_owned(), value)], ..Self::default() }
    }

    fn noted(mut self, kind: Kind, note: impl Into<String>) -> Self {
        self.notes.push((kind, note.into()));
        self
    }

    fn changing(mut self, what: &str) -> Self {
        self.changes = Some(what.to_ascii_lowercase());
        self
    }
}

/// Names that rules may not change (they frame the message).
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// What a rule of the request does.
///
/// # Errors
/// What cannot be done: what it did, what happens now, what to do.
pub(crate) fn request(words: &[String]) -> Result<Action, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["allow", ..] => Ok(Action { allows: true, ..Action::default() }),
        ["deny", ref rest @ ..] => deny(rest),
        ["tarpit", ref rest @ ..] => Ok(deny(rest)?.noted(
            Kind::Improved,
            "refused at once, not after `timeout tarpit`: connections that are held cost us, too",
        )),
        ["silent-drop", ..] => Ok(Action::of("close", "true".to_owned()).noted(
            Kind::Improved,
            "the connection is closed without an answer; HAProxy let the client wait for its end",
        )),
        ["redirect", ref rest @ ..] => redirect(rest),
        ["return", ref rest @ ..] => answer(rest),
        [action @ ("set-header" | "add-header"), name, value, ..] => {
            header(action, name, value, "")
        }
        ["del-header", name] => {
            let name = changeable(name)?;
            Ok(Action::of("remove_header", toml::texts(&[name])).changing(name))
        }
        ["set-path", value, ..] => set_path(value),
        ["replace-path", pattern, with, ..] => replace_path(pattern, with),
        ["replace-header", name, pattern, with] => {
            let action = replace_header("replace_header", (name, pattern, with))?;
            Ok(action.changing(name))
        }
        ["set-log-level" | "set-nice" | "set-priority-class" | "set-priority-offset", ..] => Err(
            lost("set how the request is logged or queued", "all are alike", "see `log.sample`"),
        ),
        ["wait-for-handshake" | "disable-l7-retry" | "normalize-uri" | "wait-for-body", ..] => {
            Ok(Action::default().noted(Kind::Ignored, "it has no counterpart, and needs none"))
        }
        _ => Err(unknown(words.first().copied().unwrap_or_default())),
    }
}

/// What a rule of the response does.
///
/// # Errors
/// As [`request`].
pub(crate) fn response(words: &[String]) -> Result<Action, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [action @ ("set-header" | "add-header"), name, value, ..] => {
            header(action, name, value, "response_")
        }
        ["del-header", name] => {
            Ok(Action::of("remove_response_header", toml::texts(&[changeable(name)?])))
        }
        ["allow", ..] => {
            Err(lost("ended the list of rules", "the rules behind it act", "give them conditions"))
        }
        ["replace-header", name, pattern, with] => {
            replace_header("replace_response_header", (name, pattern, with))
        }
        ["replace-header" | "replace-value", name, ..] => Err(lost(
            &format!("rewrote parts of the header field `{name}`"),
            "the field passes as the endpoint sent it",
            "let the application send what is right",
        )),
        _ => Err(unknown(words.first().copied().unwrap_or_default())),
    }
}

fn lost(did: &str, now: &str, todo: &str) -> String {
    format!("it {did}; now {now}; {todo}")
}

fn unknown(action: &str) -> String {
    let did = match action {
        "lua" => "ran a Lua script",
        action if action.starts_with("lua.") => "ran a Lua script",
        "set-var" | "set-var-fmt" | "unset-var" => "set a variable for later lines",
        action if action.starts_with("set-var") => "set a variable for later lines",
        action if action.starts_with("track-sc") => "counted in a table",
        action if action.starts_with("sc-") => "counted in a table",
        "use-service" => "answered by a service inside of HAProxy",
        "cache-use" | "cache-store" => "answered from a cache",
        "capture" => "wrote a part of the head into the log",
        "auth" => "asked for a password",
        _ => return format!("it did `{action}`; now nothing does; do it in the application"),
    };
    let todo = match action {
        action if action.starts_with("track-sc") || action.starts_with("sc-") => {
            "`limit` of the listener bounds connections and requests of client networks"
        }
        "capture" => "the log has method, host, target and status; log the rest in the application",
        "auth" => "write a rule `basic_auth` with a `users_file`",
        "use-service" => "figures are at `/metrics` of `observe.listen`",
        _ => "do it in the application",
    };
    format!("it {did}; now nothing does; {todo}")
}

fn deny(rest: &[&str]) -> Result<Action, String> {
    let after = |name: &str| rest.iter().skip_while(|word| **word != name).nth(1);
    let status = match after("deny_status").or(after("status")) {
        Some(text) => text.parse::<u16>().ok().filter(|status| (400..600).contains(status)),
        None => Some(403),
    };
    let status = status
        .ok_or("it refused with a status outside of 400 to 599; now nothing does; see `deny`")?;
    let mut action = Action::of(
        "deny",
        if status == 403 { "true".to_owned() } else { format!("{{ status = {status} }}") },
    );
    let odd =
        rest.iter().any(|word| ["content-type", "hdr", "errorfile", "errorfiles"].contains(word));
    if odd {
        action = action.noted(
            Kind::Unsupported,
            "it refused with a page of its own; now a short text is answered; write `[errors.STATUS]`",
        );
    }
    Ok(action)
}

pub(super) fn changeable(name: &str) -> Result<&str, String> {
    if !is_field(name) {
        return Err(format!(
            "it changed `{name}`, which is no name of a header field; now nothing does; see where it was meant"
        ));
    }
    if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "it changed `{name}`; now the program writes that itself; leave it out"
        ));
    }
    Ok(name)
}

/// What is told of values that have a header field in them.
const FIRST: &str = "of a field that comes more than once the first is put in, as a whole: HAProxy puts in the last, \
                     and of values between commas the last";

fn header(action: &str, name: &str, value: &str, which: &str) -> Result<Action, String> {
    let value = template(value, !which.is_empty()).map_err(|why| {
        format!(
            "it wrote the header field `{name}`; now nothing does: {why}; see where it is needed"
        )
    })?;
    if value.chars().any(char::is_control) {
        return Err(format!(
            "it wrote `{name}` with a control character; now nothing does; see it"
        ));
    }
    let mut notes = Vec::new();
    let bare = name.strip_suffix(':').filter(|bare| is_field(bare));
    if bare.is_some() {
        let note = "the colon behind the name is left out: HAProxy would have sent it as a part of the name";
        notes.push((Kind::Improved, note.to_owned()));
    }
    if value.contains("{header:") {
        notes.push((Kind::Improved, FIRST.to_owned()));
    }
    let name = bare.unwrap_or(name);
    if name.eq_ignore_ascii_case("host") && which.is_empty() && action == "set-header" {
        let action = Action::of("rewrite_host", toml::text(&value)).changing("host");
        return Ok(Action { notes, ..action });
    }
    let name = changeable(name)?;
    let verb = if action == "set-header" { "set" } else { "add" };
    let pair = toml::inline(&[(name.to_owned(), toml::text(&value))]);
    let made = Action { notes, ..Action::of(&format!("{verb}_{which}header"), pair) };
    Ok(if which.is_empty() { made.changing(name) } else { made })
}

/// `%[path,regsub(^/api/,/)]`, or a fixed path.
fn set_path(value: &str) -> Result<Action, String> {
    let lost = |why: String| {
        format!(
            "it sent the request on with another path; now the path stays ({why}); write a rule `rewrite_path`"
        )
    };
    if value.starts_with('/') && !value.contains('%') {
        return rewritten(".*", &value.replace('$', "$$"));
    }
    let inside = value.strip_prefix("%[").and_then(|rest| rest.strip_suffix(']'));
    let parts = inside.map(split).unwrap_or_default();
    if let [fetch, converter] = &parts[..]
        && fetch == "path"
        && let Some(inside) = converter.strip_prefix("regsub(")
    {
        let arguments = split(inside.strip_suffix(')').unwrap_or(inside));
        let bare = |text: &String| text.trim_matches(['"', '\'']).to_owned();
        let flags = arguments.get(2).map(bare).unwrap_or_default();
        if arguments.len() < 2 || flags.contains('g') {
            return Err(lost("only the first match can be replaced".to_owned()));
        }
        let case = if flags.contains('i') { "(?i)" } else { "" };
        return rewritten(
            &format!("{case}{}", bare(&arguments[0])),
            &groups(&bare(&arguments[1]), 0),
        );
    }
    Err(lost(format!("`{value}` is not understood")))
}

/// The whole value of a field becomes what `with` says, where the pattern matches somewhere in it.
fn replace_header(key: &str, (name, pattern, with): (&str, &str, &str)) -> Result<Action, String> {
    let lost = |why: &str| {
        format!(
            "it rewrote the header field `{name}`; now the field passes as it came: {why}; write a rule \
             `{key}`"
        )
    };
    if with.replace("%%", "").contains('%') {
        return Err(lost("what takes its place has variables"));
    }
    let name = changeable(name)?;
    let (pattern, with) = whole(pattern, &with.replace("%%", "%"));
    let pattern = expression(&pattern).map_err(|why| lost(&why))?;
    let value = toml::inline(&[
        ("name".to_owned(), toml::text(name)),
        ("regex".to_owned(), toml::text(&pattern)),
        ("with".to_owned(), toml::text(&with)),
    ]);
    Ok(Action::of(key, value))
}

/// The value of the whole path becomes what `with` says, where the pattern matches.
fn replace_path(pattern: &str, with: &str) -> Result<Action, String> {
    if with.contains('%') {
        return Err("it sent the request on with another path; now the path stays (variables); write a rule `rewrite_path`".to_owned());
    }
    let (pattern, with) = whole(pattern, with);
    rewritten(&pattern, &with)
}

/// A pattern that matches the whole value, wherever `pattern` does; and what takes its place.
fn whole(pattern: &str, with: &str) -> (String, String) {
    // `\0` is what the pattern matches, which is a group then: that of the whole is the whole value.
    match groups(with, 0) {
        plain if !plain.contains("${0}") => (format!("^.*?(?:{pattern}).*$"), plain),
        _ => (format!("^.*?({pattern}).*$"), groups(with, 1)),
    }
}

fn rewritten(pattern: &str, with: &str) -> Result<Action, String> {
    let pattern = expression(pattern).map_err(|why| {
        format!("it sent the request on with another path; now the path stays: {why}; write a rule `rewrite_path`")
    })?;
    let pattern = if pattern == ".*" { "^.*$".to_owned() } else { pattern };
    let value = toml::inline(&[
        ("regex".to_owned(), toml::text(&pattern)),
        ("with".to_owned(), toml::text(with)),
    ]);
    Ok(Action::of("rewrite_path", value).changing("path"))
}

/// `\1` as `${1}`, or so much later a group; `\x41` as `A`.
fn groups(with: &str, later: u32) -> String {
    let mut out = String::new();
    let mut rest = with;
    while let Some(at) = rest.find(['\\', '$']) {
        out.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match (&rest[at..=at], after.next()) {
            ("$", _) => {
                out.push_str("$$");
                after = rest[at + 1..].chars();
            }
            (_, Some('x')) if code(after.as_str()).is_some() => {
                let char = code(after.as_str()).unwrap_or_default();
                out.push(char);
                if char == '$' {
                    out.push(char);
                }
                after = after.as_str()[2..].chars();
            }
            (_, Some(char)) => match char.to_digit(10) {
                Some(digit) => out.push_str(&format!("${{{}}}", digit + later)),
                None => out.push(char),
            },
            (_, None) => out.push('\\'),
        }
        rest = after.as_str();
    }
    out + rest
}

/// The character of two hexadecimal digits.
fn code(text: &str) -> Option<char> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii).map(char::from)
}

/// `location`, `prefix` or `scheme`, and options.
fn redirect(rest: &[&str]) -> Result<Action, String> {
    let lost = |why: &str| {
        format!("it sent clients elsewhere; now it does not: {why}; write a rule `redirect`")
    };
    let after = |name: &str| rest.iter().skip_while(|word| **word != name).nth(1).copied();
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| pairs.push((name.to_owned(), value));
    let odd = ["set-cookie", "clear-cookie", "append-slash"];
    if let Some(word) = rest.iter().find(|word| odd.contains(word)) {
        return Err(lost(&format!("`{word}` is not there")));
    }
    match (after("scheme"), after("prefix"), after("location")) {
        (Some(scheme @ ("http" | "https")), None, None) => add("scheme", toml::text(scheme)),
        (None, Some(url), None) | (None, None, Some(url)) => {
            let (scheme, host, path) = parts(url);
            if let Some(scheme) = scheme {
                add("scheme", toml::text(scheme));
            }
            if let Some(host) =
                host.filter(|host| *host != "%[hdr(host)]" && *host != "%[req.hdr(host)]")
            {
                let host = template(host, false).map_err(|why| lost(&why))?;
                if host.is_empty() || host.contains('/') {
                    return Err(lost("its host is not understood"));
                }
                add("host", toml::text(&host));
            }
            let same = ["%[capture.req.uri]", "%[url]", "%[pathq]"].contains(&path);
            let is_prefix = after("prefix").is_some();
            if is_prefix && path.contains('%') {
                return Err(lost("its path is not understood"));
            } else if is_prefix && !["", "/"].contains(&path) {
                add("prefix", toml::text(path.trim_end_matches('/')));
            } else if !is_prefix && !same {
                let path = template(if path.is_empty() { "/" } else { path }, false)
                    .map_err(|why| lost(&why))?;
                add("path", toml::text(&path));
            }
        }
        _ => return Err(lost("where to is not understood")),
    }
    if pairs.is_empty() {
        return Err(lost("it would send clients to where they came"));
    }
    match after("code").map(str::parse::<u16>) {
        None => {}
        Some(Ok(302)) => {}
        Some(Ok(code @ (301 | 303 | 307 | 308))) => {
            pairs.push(("code".to_owned(), code.to_string()))
        }
        Some(_) => return Err(lost("its code is none of 301, 302, 303, 307 and 308")),
    }
    Ok(Action::of("redirect", toml::inline(&pairs)))
}

/// Scheme, host and the rest of a URL; a path alone has neither.
fn parts(url: &str) -> (Option<&str>, Option<&str>, &str) {
    for scheme in ["https", "http"] {
        let Some(rest) = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) else {
            continue;
        };
        // A host may be `%[hdr(host)]`, and what follows it another sample.
        let end = match rest.strip_prefix("%[") {
            Some(inside) => inside.find(']').map_or(rest.len(), |at| at + 3),
            None => rest.find(['/', '?', '%']).unwrap_or(rest.len()),
        };
        return (Some(scheme), Some(&rest[..end]), &rest[end..]);
    }
    (None, None, url)
}

/// `return status N content-type T string S`
fn answer(rest: &[&str]) -> Result<Action, String> {
    let after = |name: &str| rest.iter().skip_while(|word| **word != name).nth(1).copied();
    let lost = |why: &str| {
        format!("it answered without an endpoint; now it does not ({why}); write a rule `answer`")
    };
    if let Some(word) = rest.iter().find(|w| {
        ["lf-string", "lf-file", "hdr", "errorfile", "errorfiles", "default-errorfiles"].contains(w)
    }) {
        return Err(lost(&format!("`{word}` is not there")));
    }
    let mut pairs = Vec::new();
    let status = after("status").unwrap_or("200");
    let status: u16 = status.parse().map_err(|_| lost("its status is none"))?;
    if !(200..600).contains(&status) {
        return Err(lost("its status is none"));
    }
    pairs.push(("status".to_owned(), status.to_string()));
    let content = (after("string"), after("file"));
    if let Some(kind) = after("content-type").filter(|_| content != (None, None)) {
        pairs.push(("type".to_owned(), toml::text(kind)));
    }
    match content {
        (Some(text), _) => pairs.push(("body".to_owned(), toml::text(text))),
        (None, Some(file)) if file.starts_with('/') => {
            pairs.push(("file".to_owned(), toml::text(file)));
        }
        (None, Some(_)) => return Err(lost("its file has no absolute path")),
        (None, None) => {}
    }
    Ok(Action::of("answer", toml::inline(&pairs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(|word| word.replace('_', " ").trim().to_owned()).collect()
    }

    fn asked(text: &str) -> String {
        let plain: Vec<String> = text.split(' ').map(str::to_owned).collect();
        match request(&plain) {
            Ok(action) => toml::inline(&action.pairs),
            Err(why) => why,
        }
    }

    #[test]
    fn actions_of_requests() {
        for (text, expected) in [
            ("deny", "{ deny = true }"),
            ("deny deny_status 429", "{ deny = { status = 429 } }"),
            ("set-header X-A %[src]", "{ set_header = { X-A = \"{client}\" } }"),
            ("set-header Host api", "{ rewrite_host = \"api\" }"),
            ("del-header X-A", "{ remove_header = [\"X-A\"] }"),
            (
                "set-path %[path,regsub(^/api/,/)]",
                "{ rewrite_path = { regex = \"^/api/\", with = \"/\" } }",
            ),
            ("set-path /a", "{ rewrite_path = { regex = \"^.*$\", with = \"/a\" } }"),
            (
                r"replace-path ^/a/(.*) /\1",
                "{ rewrite_path = { regex = \"^.*?(?:^/a/(.*)).*$\", with = \"/${1}\" } }",
            ),
            ("redirect scheme https code 301", "{ redirect = { scheme = \"https\", code = 301 } }"),
            ("redirect scheme https", "{ redirect = { scheme = \"https\" } }"),
            (
                "redirect prefix https://www.a.test",
                "{ redirect = { scheme = \"https\", host = \"www.a.test\" } }",
            ),
            ("redirect location /new code 303", "{ redirect = { path = \"/new\", code = 303 } }"),
            (
                "redirect location https://%[hdr(host)]%[capture.req.uri]",
                "{ redirect = { scheme = \"https\" } }",
            ),
            (
                "redirect location https://a.test",
                "{ redirect = { scheme = \"https\", host = \"a.test\", path = \"/\" } }",
            ),
            ("silent-drop", "{ close = true }"),
            (
                r"replace-header X-A ^a(.)$ b\1",
                "{ replace_header = { name = \"X-A\", regex = \"^.*?(?:^a(.)$).*$\", with = \"b${1}\" } }",
            ),
            (
                r"replace-header X-A n(.)t <\0-\1\x41$>",
                "{ replace_header = { name = \"X-A\", regex = \"^.*?(n(.)t).*$\", with = \"<${1}-${2}A$$>\" } }",
            ),
            (
                r"replace-path /b /x\0",
                "{ rewrite_path = { regex = \"^.*?(/b).*$\", with = \"/x${1}\" } }",
            ),
            (
                r"set-path %[path,regsub(b,<\0>)]",
                "{ rewrite_path = { regex = \"b\", with = \"<${0}>\" } }",
            ),
            ("return status 204", "{ answer = { status = 204 } }"),
            (
                "return content-type text/plain string ok",
                "{ answer = { status = 200, type = \"text/plain\", body = \"ok\" } }",
            ),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_lost_is_told() {
        for text in [
            "set-var(txn.a) src",
            "lua.x",
            "track-sc0 src",
            "deny deny_status 200",
            "set-header Content-Length 1",
            "set-header X-A %[var(txn.a)]",
            "redirect location /a set-cookie b",
            "return lf-file /a",
            "redirect",
            "set-path %[path,regsub(a,b,g)]",
        ] {
            let told = asked(text);
            assert!(told.starts_with("it ") && told.contains("now"), "{text}: {told}");
        }
        assert!(response(&words("replace-value Location a b")).is_err());
        for wrong in ["Location a %[src]", "Location (?=a) b", "Content-Length a b", "a_b c"] {
            assert!(response(&words(&format!("replace-header {wrong}"))).is_err(), "{wrong}");
        }
        let replaced = response(&words(r"replace-header Location http://app/(.*) /\1")).unwrap();
        let expected = "{ replace_response_header = { name = \"Location\", regex = \
                        \"^.*?(?:http://app/(.*)).*$\", with = \"/${1}\" } }";
        assert_eq!(toml::inline(&replaced.pairs), expected);
    }
}
