//! Rules: a condition and exactly one action each.

use super::condition::Conditions;
use super::listener::plain;
use super::{host, route};
use crate::diagnostic::Diagnostic;
use crate::document::Span;
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::reference::{Key, Kind};
use crate::{pattern, web};
use eclusa_policy::condition::Condition;
use eclusa_policy::rules::{
    Act, Answer, Basic, Content, Count, Deny, HeaderChange, Hsts, Operation, Redirect, RequestId,
    RewriteHost, RewritePath, Rule, Scheme, Template, To, Users,
};
use std::sync::Arc;
use std::time::Duration;

/// Browsers build in nothing shorter (hstspreload.org).
const PRELOAD_MIN: Duration = Duration::from_secs(31_536_000);

/// The rules of a listener with their places; one that sets several fields is several.
pub(super) fn read(
    listener: &Reader<'_>,
    conditions: &Conditions<'_>,
    tls: bool,
) -> Vec<(Span, Rule)> {
    let mut rules = Vec::new();
    for reader in listener.tables(&keys::RULES, &keys::RULE).unwrap_or_default() {
        let when = route::condition(&reader, conditions, "rule");
        let acts = acts(&reader, conditions);
        one_action(&reader);
        if !tls {
            needs_tls(&reader);
        } else if when == Some(Condition::Always) {
            check_circle(&reader, &acts);
        }
        let Some(when) = when else { continue };
        let rule = |act| (reader.span, Rule { when: when.clone(), act });
        rules.extend(acts.into_iter().map(rule));
    }
    rules
}

/// Tells of rules without an action, and of those with several.
fn one_action(reader: &Reader<'_>) {
    let written: Vec<_> =
        keys::ACTIONS.iter().filter_map(|key| Some((key.name, reader.key_span(key)?))).collect();
    let names: Vec<_> = keys::ACTIONS.iter().map(|key| key.name).collect();
    let expected = format!("exactly one of {}", names.join(", "));
    match written[..] {
        [] => reader.report.absent(
            reader.span,
            &format!("the rule {} does nothing", reader.place()),
            &expected,
            "add one, or remove the rule",
        ),
        [_] => {}
        [(_, first), (second, span), ..] => reader.report.push(
            Diagnostic::error(
                span,
                "the rule does two things",
                &expected,
                &format!("write another rule, with the same condition, for `{second}`"),
            )
            .with_related(first, "the first"),
        ),
    }
}

fn needs_tls(reader: &Reader<'_>) {
    if let Some(span) = reader.key_span(&keys::HSTS) {
        reader.report.error(
            span,
            "`hsts` says nothing: browsers believe it over TLS alone, and this listener opens none",
            "`tls` in the listener",
            "add `tls`, or move the rule to the listener that has it",
        );
    }
}

/// Whoever comes by HTTPS and is sent to HTTPS comes again.
fn check_circle(reader: &Reader<'_>, acts: &[Act]) {
    let circle = acts.iter().any(|act| {
        let Act::Redirect(redirect) = act else { return false };
        let Redirect { scheme, host, to, .. } = redirect;
        *scheme == Some(Scheme::Https) && host.is_none() && *to == To::Same
    });
    if circle {
        reader.report.error(
            reader.key_span(&keys::REDIRECT).unwrap_or(reader.span),
            "this redirects every request to where it came: clients would go in circles",
            "a listener without `tls`, a condition, or another host or path",
            "move the rule to the listener of port 80",
        );
    }
}

fn acts(reader: &Reader<'_>, conditions: &Conditions<'_>) -> Vec<Act> {
    let mut acts = Vec::new();
    acts.extend(redirect(reader).map(Act::Redirect));
    acts.extend(deny(reader).map(Act::Deny));
    acts.extend(closes(reader).then_some(Act::Close));
    acts.extend(answer(reader).map(Act::Answer));
    acts.extend(basic(reader).map(Act::Authenticate));
    let changes = [
        (&keys::SET_HEADER, Operation::Set, Act::Request as fn(_) -> _),
        (&keys::ADD_HEADER, Operation::Add, Act::Request),
        (&keys::REMOVE_HEADER, Operation::Remove, Act::Request),
        (&keys::SET_RESPONSE_HEADER, Operation::Set, Act::Response),
        (&keys::ADD_RESPONSE_HEADER, Operation::Add, Act::Response),
        (&keys::REMOVE_RESPONSE_HEADER, Operation::Remove, Act::Response),
    ];
    for (key, operation, act) in changes {
        acts.extend(fields(reader, key, operation).into_iter().map(act));
    }
    acts.extend(replace(reader, &keys::REPLACE_HEADER).map(Act::Request));
    acts.extend(replace(reader, &keys::REPLACE_RESPONSE_HEADER).map(Act::Response));
    acts.extend(rewrite_path(reader).map(Act::RewritePath));
    let host = reader.text(&keys::REWRITE_HOST, web::host_template);
    acts.extend(host.map(|got| Act::RewriteHost(RewriteHost(got.value))));
    acts.extend(hsts(reader).map(Act::Hsts));
    acts.extend(request_id(reader).map(Act::RequestId));
    let counter = conditions.places.counter(reader);
    acts.extend(counter.map(|(counter, name)| Act::Count(Count { counter, name })));
    acts
}

fn closes(reader: &Reader<'_>) -> bool {
    let close = reader.boolean(&keys::CLOSE);
    if let Some(Got { value: false, span, .. }) = close {
        let remedy = "write `close = true`, or remove the rule";
        reader.report.error(span, "`close = false` does nothing", "`true`", remedy);
    }
    close.is_some_and(|got| got.value)
}

/// A part of a header field and what takes its place.
fn replace(rule: &Reader<'_>, key: &'static Key) -> Option<HeaderChange> {
    let reader = rule.written_table(key, &keys::REPLACE_SECTION)?;
    let name = reader.text(&keys::REPLACE_NAME, web::header_name);
    let pattern = reader.text(&keys::REPLACE_REGEX, pattern::expression);
    let with = reader.text(&keys::REPLACE_WITH, web::line)?;
    let pattern = pattern?;
    if let Err(mistake) = web::replacement(&with.value, &pattern.value) {
        let expected = "groups that the expression has";
        reader.report.error(with.span, &mistake.message, expected, &mistake.remedy);
    }
    // Braces are no variables here.
    let written = with.value.replace('{', "{{").replace('}', "}}");
    let value = Template::parse(&written).ok()?;
    let (name, operation) = (name?.value, Operation::Replace);
    Some(HeaderChange { name, operation, value, pattern: Some(pattern.value) })
}

fn fields(reader: &Reader<'_>, key: &'static Key, operation: Operation) -> Vec<HeaderChange> {
    if operation == Operation::Remove {
        let names = reader.texts(key, web::header_name).map(|got| plain(got.value));
        let Ok(value) = Template::parse("") else { return Vec::new() };
        let change = |name| HeaderChange { name, operation, value: value.clone(), pattern: None };
        return names.unwrap_or_default().into_iter().map(change).collect();
    }
    let of_answers = [keys::SET_RESPONSE_HEADER.name, keys::ADD_RESPONSE_HEADER.name];
    let template =
        if of_answers.contains(&key.name) { web::answer_template } else { web::template };
    let fields = reader.entries(key, |name, value| {
        let value = reader.text_of(key, &Kind::Template, value, template);
        match web::header_name(&name.name) {
            Ok(name) => Some(HeaderChange { name, operation, value: value?, pattern: None }),
            Err(mistake) => {
                let expected = Kind::HeaderName.describe();
                reader.report.error(name.span, &mistake.message, &expected, &mistake.remedy);
                None
            }
        }
    });
    fields.unwrap_or_default()
}

fn redirect(rule: &Reader<'_>) -> Option<Redirect> {
    let reader = rule.written_table(&keys::REDIRECT, &keys::REDIRECT_SECTION)?;
    let scheme = reader.choice(&keys::REDIRECT_SCHEME).map(|got| match got.value {
        "http" => Scheme::Http,
        _ => Scheme::Https,
    });
    let host = reader.text(&keys::REDIRECT_HOST, web::host_template);
    let path = reader.text(&keys::REDIRECT_PATH, web::template);
    let prefix = reader.text(&keys::REDIRECT_PREFIX, web::compared_path);
    let code = reader.integer(&keys::REDIRECT_CODE);
    if let Some(Got { value: 304..=306, span, .. }) = code {
        let remedy = "write 301 or 308 for good, 302 or 307 for now";
        let expected = "301, 302, 303, 307 or 308";
        reader.report.error(span, "this status sends nobody elsewhere", expected, remedy);
    }
    if let (Some(path), true) = (&path, reader.has(&keys::REDIRECT_PREFIX)) {
        reader.report.error(
            path.span,
            "`path` takes the place of the whole path, so that `prefix` stands before nothing",
            "one of the two",
            "remove one",
        );
    }
    let parts = [&keys::REDIRECT_SCHEME, &keys::REDIRECT_HOST, &keys::REDIRECT_PATH];
    if !parts.iter().any(|key| reader.has(key)) && !reader.has(&keys::REDIRECT_PREFIX) {
        reader.report.absent(
            reader.span,
            "this redirects every request to where it came: clients would go in circles",
            "at least one of scheme, host, path, prefix",
            "write for example `redirect = { scheme = \"https\" }`",
        );
    }
    let to = match (path, prefix) {
        (Some(path), _) => To::Path(path.value),
        (None, Some(prefix)) => To::Prefix(prefix.value.trim_end_matches('/').into()),
        (None, None) => To::Same,
    };
    let status = code.and_then(|got| u16::try_from(got.value).ok()).unwrap_or(302);
    Some(Redirect { scheme, host: host.map(|got| got.value), to, status })
}

fn deny(rule: &Reader<'_>) -> Option<Deny> {
    let reader = rule.switched(&keys::DENY_REQUEST, &keys::DENY_SECTION)?;
    let status = reader.integer(&keys::DENY_STATUS)?.value;
    Some(Deny { status: u16::try_from(status).ok()? })
}

fn answer(rule: &Reader<'_>) -> Option<Answer> {
    let reader = rule.written_table(&keys::ANSWER, &keys::ANSWER_SECTION)?;
    let status = reader.integer(&keys::ANSWER_STATUS);
    let content_type = reader.text(&keys::ANSWER_TYPE, web::text);
    let body = reader.text(&keys::ANSWER_BODY, web::body);
    let file = reader.path_of(&keys::ANSWER_FILE);
    if let Some(file) = &file {
        host::content(reader.report, file);
        if let Some(body) = &body {
            reader.report.error(
                body.span,
                "the answer has a `body` and a `file`",
                "one of the two",
                "remove one",
            );
        }
    }
    let status = u16::try_from(status?.value).ok()?;
    if let Some(message) = message(&reader, status) {
        return Some(message);
    }
    let written = body.as_ref().map(|got| got.span).or(file.as_ref().map(|got| got.span));
    if let (204 | 205 | 304, Some(span)) = (status, written) {
        reader.report.error(
            span,
            &format!("an answer of status {status} has no body"),
            "another status, or no body",
            "write `status = 200`, or remove the body",
        );
    }
    let empty = body.as_ref().is_none_or(|got| got.value.is_empty()) && file.is_none();
    let content = match (file, body) {
        (Some(file), _) => Content::File(file.value),
        (None, Some(body)) => Content::Text(body.value),
        (None, None) => Content::Text("".into()),
    };
    let content_type = content_type.filter(|_| !empty).map(|got| got.value.into());
    Some(Answer { status, content_type, content })
}

/// An answer that stands in a file as a whole.
fn message(reader: &Reader<'_>, status: u16) -> Option<Answer> {
    let path = reader.path_of(&keys::ANSWER_MESSAGE)?;
    host::message(reader.report, &path, status);
    for key in [&keys::ANSWER_TYPE, &keys::ANSWER_BODY, &keys::ANSWER_FILE] {
        let Some(span) = reader.key_span(key) else { continue };
        reader.report.error(
            span,
            &format!("`{}` says nothing: the file of `message` has all of the answer", key.name),
            "one of the two",
            "remove one",
        );
    }
    Some(Answer { status, content_type: None, content: Content::Message(path.value) })
}

fn basic(rule: &Reader<'_>) -> Option<Basic> {
    let reader = rule.written_table(&keys::BASIC_AUTH, &keys::BASIC_SECTION)?;
    let realm = reader.text(&keys::REALM, web::text);
    let file = reader.path_of(&keys::USERS_FILE);
    if let Some(file) = &file {
        host::users(reader.report, file);
    }
    let mut users = Users::default();
    for user in reader.texts(&keys::USERS, web::user).map(|got| got.value).unwrap_or_default() {
        if let Err(message) = users.add(&user.value) {
            let remedy = "remove one of the two";
            reader.report.error(user.span, message, "each name once", remedy);
        }
    }
    if !reader.has(&keys::USERS) && !reader.has(&keys::USERS_FILE) {
        reader.report.absent(
            reader.span,
            "nobody could pass: there are no users",
            "`users`, `users_file` or both",
            "add `users_file = \"/etc/eclusa/users\"`, a file that `htpasswd -B` has made",
        );
    }
    let realm = realm.map_or_else(|| "restricted".into(), |got| Arc::from(got.value));
    Some(Basic { realm, users: Arc::new(users), file: file.map(|got| got.value) })
}

fn rewrite_path(rule: &Reader<'_>) -> Option<RewritePath> {
    let reader = rule.written_table(&keys::REWRITE_PATH, &keys::REWRITE_SECTION)?;
    let prefix = reader.text(&keys::REWRITE_PREFIX, web::compared_path);
    let regex = reader.text(&keys::REWRITE_REGEX, pattern::expression);
    let with = reader.text(&keys::REWRITE_WITH, web::line);
    if reader.has(&keys::REWRITE_PREFIX) == reader.has(&keys::REWRITE_REGEX) {
        reader.report.absent(
            reader.span,
            "a path is rewritten by `prefix` or by `regex`",
            "exactly one of the two",
            "write `{ prefix = \"/api\", with = \"/\" }` or `{ regex = '^/v1/(.*)$', with = \"/$1\" }`",
        );
    }
    let with = with?;
    if let Some(prefix) = prefix {
        if !with.value.starts_with('/') || with.value.contains(['?', '#', ' ']) {
            reader.report.error(
                with.span,
                "what takes the place of the prefix is no path",
                "a path, such as \"/\" or \"/v2\"",
                "begin with `/`; the query stays as it is",
            );
        }
        return Some(RewritePath::prefix(&prefix.value, &with.value));
    }
    let regex = regex?;
    if let Err(mistake) = web::replacement(&with.value, &regex.value) {
        let expected = "groups that the expression has";
        reader.report.error(with.span, &mistake.message, expected, &mistake.remedy);
    }
    Some(RewritePath::Regex(regex.value, with.value))
}

fn hsts(rule: &Reader<'_>) -> Option<Hsts> {
    let reader = rule.switched(&keys::HSTS, &keys::HSTS_SECTION)?;
    let max_age = reader.duration(&keys::MAX_AGE).value;
    let subdomains = reader.boolean(&keys::SUBDOMAINS).is_some_and(|got| got.value);
    let preload = reader.boolean(&keys::PRELOAD);
    if let Some(Got { value: true, span, .. }) = preload
        && (!subdomains || max_age < PRELOAD_MIN)
    {
        reader.report.error(
            span,
            "browsers build nothing in that does not hold for subdomains and a year",
            "`subdomains = true` and a `max_age` of \"365d\" beside it",
            "write these, or remove `preload`",
        );
    }
    Some(Hsts::new(max_age, subdomains, preload.is_some_and(|got| got.value)))
}

fn request_id(rule: &Reader<'_>) -> Option<RequestId> {
    let reader = rule.switched(&keys::REQUEST_ID, &keys::REQUEST_ID_SECTION)?;
    let header = reader.text(&keys::ID_HEADER, web::header_name);
    let accept = reader.boolean(&keys::ID_ACCEPT).is_some_and(|got| got.value);
    let respond = reader.boolean(&keys::ID_RESPOND).is_some_and(|got| got.value);
    Some(RequestId { header: header?.value, accept, respond })
}
