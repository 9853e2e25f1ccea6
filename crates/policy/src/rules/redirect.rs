//! Redirect: the client is sent to another scheme, host or path.

use super::rewrite::is_host;
use super::{Context, End, Scheme, Template};

/// Where a client is sent. What is left out stays as it is; with neither scheme nor host the
/// `Location` is relative, so that the port stays, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Another scheme.
    pub scheme: Option<Scheme>,
    /// Another host, with a port if that is not the scheme's own.
    pub host: Option<Template>,
    /// Another path.
    pub to: To,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// The path of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The same path and query.
    Same,
    /// This in front of the path; the query stays.
    Prefix(Box<str>),
    /// This instead of path and query.
    Path(Template),
}

impl Redirect {
    /// How the request ends.
    #[must_use]
    pub fn end<'r>(&self, context: &Context<'_>) -> End<'r> {
        End::Redirect { status: self.status, location: self.location(context) }
    }

    fn location(&self, context: &Context<'_>) -> String {
        let request = context.facts.request.map(|asked| asked.request());
        let path = request.map_or("/", |request| request.path());
        let query = request.and_then(|request| request.query());
        let mut target = match &self.to {
            To::Same => path.to_owned(),
            To::Prefix(prefix) => format!("{prefix}{path}"),
            To::Path(template) => template.render(context).into_owned(),
        };
        if let (To::Same | To::Prefix(_), Some(query)) = (&self.to, query) {
            target.push('?');
            target.push_str(query);
        }
        // `//host` and, to browsers, `/\host` would be another host.
        let target = target.strip_prefix('*').unwrap_or(&target); // `OPTIONS *`
        let target = target.trim_start_matches(['/', '\\']);
        let host = self.host.as_ref().map(|host| host.render(context).into_owned());
        let host = host.filter(|host| is_host(host));
        let host = host.or_else(|| Some(request?.host().to_owned())).filter(|host| is_host(host));
        match host.filter(|_| self.scheme.is_some() || self.host.is_some()) {
            Some(host) => {
                let scheme = self.scheme.unwrap_or(context.scheme).name();
                format!("{scheme}://{host}/{}", address(target))
            }
            None => format!("/{}", address(target)),
        }
    }
}

/// `text` with everything percent-encoded that no address has (RFC 3986, section 2); what is encoded
/// already stays.
fn address(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c) {
            out.push(c);
        } else {
            out.push_str(&crate::condition::path::encoded(c.encode_utf8(&mut [0; 4])));
        }
    }
    out
}
