//! Request id: the endpoint, the log and perhaps the client call an exchange the same.

use super::{Context, Decision, Edit, Operation};
use std::borrow::Cow;

/// The longest id that is taken over from a client.
const LENGTH_MAX: usize = 128;

/// Which header field has the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// Its name.
    pub header: Box<str>,
    /// An id that the client sent stays, if it is a sane one.
    pub accept: bool,
    /// The client is told as well.
    pub respond: bool,
}

impl RequestId {
    pub(super) fn give<'r>(&'r self, context: &Context<'_>, decision: &mut Decision<'r>) {
        let sent = self.accept.then(|| self.sent(context)).flatten();
        let id = sent.unwrap_or_else(|| context.id.0.to_string());
        let edit = Edit::new(&self.header, Operation::Set, Cow::Owned(id));
        if self.respond {
            decision.response.push(edit.clone());
        }
        decision.request.push(edit);
    }

    fn sent(&self, context: &Context<'_>) -> Option<String> {
        let id = context.facts.request?.first_header(&self.header.to_ascii_lowercase())?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
        ((1..=LENGTH_MAX).contains(&id.len()) && id.bytes().all(fits)).then_some(id)
    }
}
