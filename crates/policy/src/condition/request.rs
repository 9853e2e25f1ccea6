//! What conditions and rules can ask of a request.

use super::path;
use std::borrow::Cow;
use std::fmt;

/// The head of a request, in whatever form the codec keeps it.
pub trait Request {
    /// The method, as sent: names of methods are case-sensitive (RFC 9110, section 9.1).
    fn method(&self) -> &str;

    /// The host that the request is for: lower case, without port and trailing dot. An IPv6 address
    /// keeps its brackets.
    fn host(&self) -> &str;

    /// The path as sent, percent-encoding and all, without the query; `*` for `OPTIONS *`.
    fn path(&self) -> &str;

    /// What stands behind the first `?`, as sent.
    fn query(&self) -> Option<&str>;

    /// Whether `holds` says yes to the value of one of the header fields of this name (in lower
    /// case), asked in order until it does. What is no UTF-8 comes as U+FFFD.
    fn header(&self, name: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// A request with what is worked out once for all conditions that look at it.
#[derive(Clone)]
pub struct Asked<'a> {
    request: &'a dyn Request,
    path: Cow<'a, str>,
}

impl<'a> Asked<'a> {
    /// Brings the path into the form in which paths are compared, see [`path::normal`].
    #[must_use]
    pub fn new(request: &'a dyn Request) -> Self {
        Self { request, path: path::normal(request.path()) }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &'a dyn Request {
        self.request
    }

    /// The path in its normal form: for comparing, never for sending on.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of the first header field of this name, if there is one.
    #[must_use]
    pub fn first_header(&self, name: &str) -> Option<String> {
        let mut first = None;
        self.request.header(name, &mut |value| {
            first = Some(value.to_owned());
            true
        });
        first
    }
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, host) = (self.request.method(), self.request.host());
        write!(f, "{method} {host}{}", self.request.path())
    }
}

/// A request that is written down, for tests and `explain`.
#[derive(Clone, Debug)]
pub struct Written {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// Names (in lower case) and values of the header fields, in order.
    pub headers: Vec<(String, String)>,
}

impl Written {
    /// `GET` of a path, with or without a query, from a host.
    #[must_use]
    pub fn get(host: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: "GET".to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query,
            headers: Vec::new(),
        }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }
}

impl Request for Written {
    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header(&self, name: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool {
        self.headers.iter().any(|(field, value)| field == name && holds(value))
    }
}
