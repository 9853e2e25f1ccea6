//! Rewriting: the request goes on with another path or host.

use super::{Context, Template};
use crate::condition::Expression;
use crate::condition::path::{below, encoded, normal};

/// How a path is rewritten. It is looked at as the client sent it; where that does not match, in its
/// normal form, in which conditions see it, so that nobody gets round a rewriting by encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewritePath {
    /// This path, and all below it, gets another beginning; both without a slash at their end.
    Prefix(Box<str>, Box<str>),
    /// The first match is replaced; `$1` and `${name}` stand for groups.
    Regex(Expression, Box<str>),
}

impl RewritePath {
    /// This path, and all below it, gets another beginning.
    #[must_use]
    pub fn prefix(prefix: &str, with: &str) -> Self {
        let trimmed = |text: &str| text.trim_end_matches('/').into();
        Self::Prefix(trimmed(prefix), trimmed(with))
    }

    /// Rewrites `path` (`None`: nobody has rewritten it yet), if it matches.
    pub(super) fn rewrite(&self, context: &Context<'_>, path: &mut Option<String>) {
        let sent = path.as_deref().or(context.facts.request.map(|asked| asked.request().path()));
        if let Some(new) = sent.and_then(|sent| self.rewritten(sent)) {
            *path = Some(new);
        }
    }

    /// The path to send on instead of `sent`; `None`: it does not match.
    #[must_use]
    pub fn rewritten(&self, sent: &str) -> Option<String> {
        if !sent.starts_with('/') {
            return None; // `OPTIONS *`
        }
        let new = self.apply(sent).or_else(|| {
            let normal = normal(sent);
            (normal != sent).then(|| self.apply(&normal).map(|new| encoded(&new))).flatten()
        })?;
        // Whatever an expression made of it is one path, and no host, no query, no second line.
        let mut path = String::with_capacity(new.len() + 1);
        path.push('/');
        for c in new.trim_start_matches('/').chars() {
            match c {
                '%' => path.push('%'),
                c => path.push_str(&encoded(c.encode_utf8(&mut [0; 4]))),
            }
        }
        Some(path)
    }

    fn apply(&self, path: &str) -> Option<String> {
        match self {
            Self::Prefix(prefix, with) => below(path, prefix).map(|rest| format!("{with}{rest}")),
            Self::Regex(expression, with) => expression.replaced(path, with),
        }
    }
}

/// Another host for the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteHost(pub Template);

impl RewriteHost {
    /// The host to send on; `None`: what the template makes is none.
    pub(super) fn host(&self, context: &Context<'_>) -> Option<String> {
        let host = self.0.render(context);
        is_host(&host).then(|| host.into_owned())
    }
}

/// Whether `text` may stand as `Host`: a name or address, with or without a port.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}
