//! Rules: what is done to a request on its way, and to its answer.
//!
//! Rules are tried in order; each whose condition holds acts, and one that answers ends the list.
//! Conditions and templates see the request as it came: no rule changes what the next one sees,
//! except that a path that was rewritten is rewritten further, and that a request that was counted
//! counts. Header fields that a rule gives to
//! the answer are for whatever answer follows, the endpoint's or the proxy's own.
//!
//! All is decided before the request is sent on, in [`decide`], from what is known then; where a field of
//! the answer tells of the endpoint, its place is filled in later ([`Edit::filled`]).

mod answer;
mod authenticate;
mod count;
mod deny;
pub mod header;
mod hsts;
mod message;
mod redirect;
mod request_id;
mod rewrite;
pub mod template;
mod users;

pub use answer::{Answer, Content};
pub use authenticate::{Basic, Credentials, Login};
pub use count::Count;
pub use deny::Deny;
pub use header::{Edit, HeaderChange, Operation};
pub use hsts::Hsts;
pub use message::Message;
pub use redirect::{Redirect, To};
pub use request_id::RequestId;
pub use rewrite::{RewriteHost, RewritePath};
pub use template::{Template, TemplateError};
pub use users::{PasswordHash, Users, UsersError};

use crate::condition::{self, Condition, Facts};
use std::fmt;

/// A condition and what is done where it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// When it acts.
    pub when: Condition,
    /// What it does.
    pub act: Act,
}

/// What a rule does: one file each.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Sends the client elsewhere.
    Redirect(Redirect),
    /// Refuses.
    Deny(Deny),
    /// Ends the connection without an answer.
    Close,
    /// Counts the request for its client.
    Count(Count),
    /// Answers by itself.
    Answer(Answer),
    /// Lets nobody pass who does not show a name and a password.
    Authenticate(Basic),
    /// Changes a header field of the request.
    Request(HeaderChange),
    /// Changes a header field of the answer.
    Response(HeaderChange),
    /// Rewrites the path of the request.
    RewritePath(RewritePath),
    /// Rewrites the host of the request.
    RewriteHost(RewriteHost),
    /// Tells browsers to come by HTTPS alone.
    Hsts(Hsts),
    /// Gives the request an id.
    RequestId(RequestId),
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What rules know.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The connection and the request.
    pub facts: Facts<'a>,
    /// The client's port.
    pub client_port: u16,
    /// How the client speaks.
    pub scheme: Scheme,
    /// Id of the exchange, as the log has it.
    pub id: Id<'a>,
    /// Versions, and who speaks.
    pub spoken: Spoken<'a>,
}

/// In which versions a client speaks, and with whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// Version of HTTP: `1.1`, `2.0`.
    pub http: &'a str,
    /// Version of TLS: `TLSv1.3`; empty in the clear.
    pub tls: &'a str,
    /// This host's name.
    pub hostname: &'a str,
}

/// What is known only of an answer; empty where it came from no endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served<'a> {
    /// The name of the pool.
    pub pool: &'a str,
    /// The name of the endpoint.
    pub endpoint: &'a str,
}

/// An id that is written only where a rule asks for it.
#[derive(Clone, Copy)]
pub struct Id<'a>(pub &'a dyn fmt::Display);

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision<'r> {
    /// Changes of the request's header fields, in order.
    pub request: Vec<Edit<'r>>,
    /// The path to send on, percent-encoding and all, where it was rewritten; the query stays.
    pub path: Option<String>,
    /// The host to send on, where it was rewritten; with its port, if it has one.
    pub host: Option<String>,
    /// Changes of the answer's header fields, in order.
    pub response: Vec<Edit<'r>>,
    /// How it is answered without an endpoint; `None`: it is sent on.
    pub end: Option<End<'r>>,
    /// The rule that is next, in order.
    next: usize,
}

/// How a request is answered without an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum End<'r> {
    /// The client is sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Value of `Location`.
        location: String,
    },
    /// It is refused with this status.
    Deny(u16),
    /// Its connection ends without an answer.
    Close,
    /// This is the answer.
    Answer(&'r Answer),
    /// 401, with `WWW-Authenticate`: no name and password, or wrong ones.
    Challenge(&'r Basic),
    /// Nobody knows yet whether these are right: find out, which is expensive, and decide again.
    Verify(&'r Basic, Credentials),
}

/// Hears of every rule that was tried, for `explain`; `()` hears nothing and costs nothing.
pub trait Trace: condition::Trace {
    /// The condition of the rule at `index` held or did not.
    fn tried(&mut self, _index: usize, _rule: &Rule, _held: bool) {}
}

impl Trace for () {}

/// Decides what becomes of a request. `known` says whether a name and its password are right;
/// `None`: nobody has found out yet.
pub fn decide<'r>(
    rules: &'r [Rule],
    context: &Context<'_>,
    known: &mut dyn FnMut(&Basic, &Credentials) -> Option<bool>,
) -> Decision<'r> {
    decide_traced(rules, context, known, &mut ())
}

/// Goes on with a decision that ended with [`End::Verify`], once that is found out: what was decided, and
/// counted, before it stays.
pub fn go_on<'r>(
    mut decision: Decision<'r>,
    rules: &'r [Rule],
    context: &Context<'_>,
    known: &mut dyn FnMut(&Basic, &Credentials) -> Option<bool>,
) -> Decision<'r> {
    decision.end = None;
    go_on_traced(decision, rules, context, known, &mut ())
}

/// As [`decide`], and `trace` hears what was tried on the way.
pub fn decide_traced<'r, T: Trace>(
    rules: &'r [Rule],
    context: &Context<'_>,
    known: &mut dyn FnMut(&Basic, &Credentials) -> Option<bool>,
    trace: &mut T,
) -> Decision<'r> {
    go_on_traced(Decision::default(), rules, context, known, trace)
}

fn go_on_traced<'r, T: Trace>(
    mut decision: Decision<'r>,
    rules: &'r [Rule],
    context: &Context<'_>,
    known: &mut dyn FnMut(&Basic, &Credentials) -> Option<bool>,
    trace: &mut T,
) -> Decision<'r> {
    for (index, rule) in rules.iter().enumerate().skip(decision.next) {
        let held = rule.when.traced(&context.facts, trace);
        trace.tried(index, rule, held);
        if !held {
            continue;
        }
        match &rule.act {
            Act::Redirect(redirect) => decision.end = Some(redirect.end(context)),
            Act::Deny(deny) => decision.end = Some(End::Deny(deny.status)),
            Act::Close => decision.end = Some(End::Close),
            Act::Count(Count { counter, .. }) => {
                context.facts.world.count(*counter, context.facts.source);
            }
            Act::Answer(answer) => decision.end = Some(End::Answer(answer)),
            Act::Authenticate(basic) => match basic.login(context, known) {
                Login::Right => {}
                Login::Wrong => decision.end = Some(End::Challenge(basic)),
                Login::Unknown(credentials) => {
                    // This one again.
                    decision.next = index;
                    decision.end = Some(End::Verify(basic, credentials));
                }
            },
            Act::Request(change) => decision.request.push(change.edit(context)),
            Act::Response(change) => decision.response.push(change.edit(context)),
            Act::RewritePath(rewrite) => rewrite.rewrite(context, &mut decision.path),
            Act::RewriteHost(rewrite) => {
                decision.host = rewrite.host(context).or(decision.host.take());
            }
            Act::Hsts(hsts) => decision.response.extend(hsts.edit(context)),
            Act::RequestId(id) => id.give(context, &mut decision),
        }
        if decision.end.is_some() {
            break;
        }
    }
    decision
}

#[cfg(test)]
mod tests;
