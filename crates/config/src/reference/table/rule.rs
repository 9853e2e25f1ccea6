//! Keys of rules: conditions, and one action each.

use super::{
    ANSWER_SECTION, BASIC_SECTION, DAY, DENY_SECTION, HSTS_SECTION, REDIRECT_SECTION,
    REPLACE_SECTION, REQUEST_ID_SECTION, REWRITE_SECTION, RULE, duration, seconds,
};
use crate::reference::{Default, Key, Kind};

/// `[[listener.NAME.rule]]`
pub static RULES: Key = Key {
    name: "rule",
    kind: Kind::Tables(&RULE),
    default: Default::Words("none"),
    help: "HTTP: what is done to requests and answers, in order; one that answers ends the list. \
           Conditions and variables see the request as it came.",
};

/// What a rule can do.
pub static ACTIONS: [&Key; 18] = [
    &REDIRECT,
    &DENY_REQUEST,
    &CLOSE,
    &ANSWER,
    &BASIC_AUTH,
    &SET_HEADER,
    &ADD_HEADER,
    &REMOVE_HEADER,
    &SET_RESPONSE_HEADER,
    &ADD_RESPONSE_HEADER,
    &REMOVE_RESPONSE_HEADER,
    &REPLACE_HEADER,
    &REPLACE_RESPONSE_HEADER,
    &REWRITE_PATH,
    &REWRITE_HOST,
    &HSTS,
    &REQUEST_ID,
    &COUNT,
];

/// Action.
pub static REDIRECT: Key = Key {
    name: "redirect",
    kind: Kind::Table(&REDIRECT_SECTION),
    default: Default::Words("none"),
    help: "Sends the client elsewhere.",
};

/// Action.
pub static DENY_REQUEST: Key = Key {
    name: "deny",
    kind: Kind::Switch(&DENY_SECTION),
    default: Default::Words("none"),
    help: "Refuses the request: `true` by 403.",
};

/// Action.
pub static CLOSE: Key = Key {
    name: "close",
    kind: Kind::Boolean,
    default: Default::Words("none"),
    help: "Ends the connection without an answer; over HTTP/2 the stream alone is reset.",
};

/// Action.
pub static ANSWER: Key = Key {
    name: "answer",
    kind: Kind::Table(&ANSWER_SECTION),
    default: Default::Words("none"),
    help: "Answers without an endpoint.",
};

/// Action.
pub static BASIC_AUTH: Key = Key {
    name: "basic_auth",
    kind: Kind::Table(&BASIC_SECTION),
    default: Default::Words("none"),
    help: "Lets nobody pass without a name and its password (401).",
};

/// Action.
pub static SET_HEADER: Key = Key {
    name: "set_header",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "Header fields that the endpoint gets, in place of those of that name: `{ X-Real-IP = \
           \"{client}\" }`. Variables: `{client}`, `{client_port}`, `{host}`, `{path}`, `{query}`, \
           `{scheme}`, `{port}`, `{sni}`, `{id}`, `{method}`, `{certificate_name}`, \
           `{certificate_sha256}`, `{http_version}` (\"1.1\"), `{tls_version}` (\"TLSv1.3\"), \
           `{hostname}`, `{header:NAME}`; what is not there is empty; `{{` is a brace.",
};

/// Action.
pub static ADD_HEADER: Key = Key {
    name: "add_header",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "Header fields that the endpoint gets behind those of that name.",
};

/// Action.
pub static REMOVE_HEADER: Key = Key {
    name: "remove_header",
    kind: Kind::List(&Kind::HeaderName),
    default: Default::Words("none"),
    help: "Header fields that the endpoint does not get.",
};

/// Action.
pub static SET_RESPONSE_HEADER: Key = Key {
    name: "set_response_header",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "Header fields that the client gets, in place of those of that name. Variables are those of \
           the request, and `{pool}` and `{endpoint}`, the names of who has answered.",
};

/// Action.
pub static ADD_RESPONSE_HEADER: Key = Key {
    name: "add_response_header",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "Header fields that the client gets behind those of that name.",
};

/// Action.
pub static REMOVE_RESPONSE_HEADER: Key = Key {
    name: "remove_response_header",
    kind: Kind::List(&Kind::HeaderName),
    default: Default::Words("none"),
    help: "Header fields that the client does not get.",
};

/// Action.
pub static REPLACE_HEADER: Key = Key {
    name: "replace_header",
    kind: Kind::Table(&REPLACE_SECTION),
    default: Default::Words("none"),
    help: "Replaces a part of a header field that the endpoint gets.",
};

/// Action.
pub static REPLACE_RESPONSE_HEADER: Key = Key {
    name: "replace_response_header",
    kind: Kind::Table(&REPLACE_SECTION),
    default: Default::Words("none"),
    help: "Replaces a part of a header field that the client gets.",
};

/// Action.
pub static REWRITE_PATH: Key = Key {
    name: "rewrite_path",
    kind: Kind::Table(&REWRITE_SECTION),
    default: Default::Words("none"),
    help: "Sends the request on with another path; the query stays. A request that goes another way \
           after all must be routed by the path that it came with.",
};

/// Action.
pub static REWRITE_HOST: Key = Key {
    name: "rewrite_host",
    kind: Kind::Template,
    default: Default::Words("none"),
    help: "Sends the request on with another `Host`, with variables as in `set_header`.",
};

/// Action.
pub static HSTS: Key = Key {
    name: "hsts",
    kind: Kind::Switch(&HSTS_SECTION),
    default: Default::Words("none"),
    help: "Tells browsers to come by HTTPS alone (`Strict-Transport-Security`).",
};

/// Action.
pub static REQUEST_ID: Key = Key {
    name: "request_id",
    kind: Kind::Switch(&REQUEST_ID_SECTION),
    default: Default::Words("none"),
    help: "Gives the endpoint the id that the log has of the exchange.",
};

/// Action.
pub static COUNT: Key = Key {
    name: "count",
    kind: Kind::Name("a counter"),
    default: Default::Words("none"),
    help: "Counts the request for its client at `[counter.NAME]`, once, and goes on to the next rule.",
};

/// Redirect.
pub static REDIRECT_SCHEME: Key = Key {
    name: "scheme",
    kind: Kind::Choice(&["https", "http"]),
    default: Default::Words("the same"),
    help: "Another scheme.",
};

/// Redirect.
pub static REDIRECT_HOST: Key = Key {
    name: "host",
    kind: Kind::Template,
    default: Default::Words("the same"),
    help: "Another host, with its port if that is not the scheme's own: `\"www.{host}\"`.",
};

/// Redirect.
pub static REDIRECT_PATH: Key = Key {
    name: "path",
    kind: Kind::Template,
    default: Default::Words("the same, with the query"),
    help: "Another path; `?{query}` behind it keeps the query.",
};

/// Redirect.
pub static REDIRECT_PREFIX: Key = Key {
    name: "prefix",
    kind: Kind::ComparedPath,
    default: Default::Words("none"),
    help: "A path in front of the request's; the query stays.",
};

/// Redirect.
pub static REDIRECT_CODE: Key = Key {
    name: "code",
    kind: Kind::Integer { min: 301, max: 308 },
    default: Default::Value("302"),
    help: "301 or 308: for good; 302 or 307: for now; 303: by `GET`. 307 and 308 keep the method.",
};

/// Deny.
pub static DENY_STATUS: Key = Key {
    name: "status",
    kind: Kind::Integer { min: 400, max: 599 },
    default: Default::Value("403"),
    help: "The status; its page is that of `[errors.STATUS]`.",
};

/// Answer.
pub static ANSWER_STATUS: Key = Key {
    name: "status",
    kind: Kind::Integer { min: 200, max: 599 },
    default: Default::Value("200"),
    help: "The status.",
};

/// Answer.
pub static ANSWER_TYPE: Key = Key {
    name: "type",
    kind: Kind::Text,
    default: Default::Value("\"text/plain; charset=utf-8\""),
    help: "The `Content-Type`.",
};

/// Answer.
pub static ANSWER_BODY: Key =
    Key { name: "body", kind: Kind::Body, default: Default::Words("empty"), help: "The body." };

/// Answer.
pub static ANSWER_FILE: Key = Key {
    name: "file",
    kind: Kind::Path("/etc/eclusa/robots.txt"),
    default: Default::Words("none"),
    help: "A file with the body; read at a start and at each reload.",
};

/// Answer.
pub static ANSWER_MESSAGE: Key = Key {
    name: "message",
    kind: Kind::Path("/etc/eclusa/maintenance.http"),
    default: Default::Words("none"),
    help: "A file with the whole answer, as HAProxy's `errorfile` has it: a status line, whose status must be \
           `status`, header fields, an empty line, the body; read at a start and at each reload.",
};

/// Replacing.
pub static REPLACE_NAME: Key = Key {
    name: "name",
    kind: Kind::HeaderName,
    default: Default::Required,
    help: "The header field; each of that name is looked at.",
};

/// Replacing.
pub static REPLACE_REGEX: Key = Key {
    name: "regex",
    kind: Kind::Pattern,
    default: Default::Required,
    help: "The first match of this regular expression in its value is replaced; where there is none the \
           field stays as it is.",
};

/// Replacing.
pub static REPLACE_WITH: Key = Key {
    name: "with",
    kind: Kind::Replacement,
    default: Default::Required,
    help: "By this; `$1`, `${name}` stand for groups of `regex`.",
};

/// Basic authentication.
pub static REALM: Key = Key {
    name: "realm",
    kind: Kind::Text,
    default: Default::Value("\"restricted\""),
    help: "What browsers show.",
};

/// Basic authentication.
pub static USERS: Key = Key {
    name: "users",
    kind: Kind::List(&Kind::User),
    default: Default::Words("none"),
    help: "Names with their passwords' hashes (bcrypt, SHA-256-crypt, SHA-512-crypt), as `htpasswd -nB \
           NAME` prints them.",
};

/// Basic authentication.
pub static USERS_FILE: Key = Key {
    name: "users_file",
    kind: Kind::Path("/etc/eclusa/users"),
    default: Default::Words("none"),
    help: "A file of such lines, as `htpasswd -B` keeps it; read again when it changes.",
};

/// Rewriting.
pub static REWRITE_PREFIX: Key = Key {
    name: "prefix",
    kind: Kind::ComparedPath,
    default: Default::Words("none"),
    help: "This beginning of the path, by whole segments, is replaced.",
};

/// Rewriting.
pub static REWRITE_REGEX: Key = Key {
    name: "regex",
    kind: Kind::Pattern,
    default: Default::Words("none"),
    help: "The first match of this regular expression is replaced.",
};

/// Rewriting.
pub static REWRITE_WITH: Key = Key {
    name: "with",
    kind: Kind::Replacement,
    default: Default::Required,
    help: "By this; `$1`, `${name}` stand for groups of `regex`.",
};

/// HSTS.
pub static MAX_AGE: Key = Key {
    name: "max_age",
    kind: duration(seconds(0), seconds(3_650 * DAY)),
    default: Default::Value("\"365d\""),
    help: "For how long; \"0s\" takes it back.",
};

/// HSTS.
pub static SUBDOMAINS: Key = Key {
    name: "subdomains",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether for all names below the host, too.",
};

/// HSTS.
pub static PRELOAD: Key = Key {
    name: "preload",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether browsers may have it built in: hard to take back. Needs `subdomains` and a \
           `max_age` of a year.",
};

/// Request id.
pub static ID_HEADER: Key = Key {
    name: "header",
    kind: Kind::HeaderName,
    default: Default::Value("\"X-Request-Id\""),
    help: "The header field.",
};

/// Request id.
pub static ID_ACCEPT: Key = Key {
    name: "accept",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether an id that the client sent stays, if it is a sane one.",
};

/// Request id.
pub static ID_RESPOND: Key = Key {
    name: "respond",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether the client is told, too.",
};
