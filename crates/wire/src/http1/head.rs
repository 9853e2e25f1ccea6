//! The head of a request or a response, whatever version it came in: what screens, routes and rules
//! look at. They see these accessors, never bytes on the wire.

use super::authority::Scheme;
use super::field::{EDITED, Field, REMOVED, Span};
use super::framing::Body;
use super::target::Named;

/// So much memory that holds nothing may stay with a head that is waited with.
const SPARE: usize = 1 << 10;

/// The version that a message came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

/// What has to be known of a request to read its response (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// It was HEAD.
    pub head: bool,
    /// It was CONNECT.
    pub connect: bool,
    /// It was forwarded with `Upgrade`. Without, a 101 is refused. With which protocol the 101
    /// comes is for the caller to check: [`Head::upgrade_protocols`].
    pub upgrade: bool,
}

impl Asked {
    /// By `request`, forwarded with or without its `Upgrade`.
    #[must_use]
    pub fn by(request: &Head, upgrade: bool) -> Self {
        let method = request.method();
        Self { head: method == b"HEAD", connect: method == b"CONNECT", upgrade }
    }
}

/// What the first line says, and what follows from the fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    pub(super) method: Span,
    /// Path and query.
    pub(super) target: Span,
    /// Where the query begins; 0: there is none.
    pub(super) query: usize,
    pub(super) authority: Named,
    pub(super) scheme: Option<Scheme>,
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) phrase: Span,
    pub(super) body: Body,
    /// `Content-Length` where there is no body: the response to HEAD, and 304.
    pub(super) declared: Option<u64>,
    pub(super) is_kept: bool,
    pub(super) expect_continue: bool,
    pub(super) upgrades: bool,
    pub(super) te_trailers: bool,
}

/// A head. Its bytes stay where they were received; everything else is places in them. Edits lie
/// beside them, so that the head can go to another endpoint with other edits.
///
/// Made to be used again: [`Self::recycle`] keeps what is allocated.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// What was received: the head, then what follows it.
    arena: Vec<u8>,
    /// Names and values of edits.
    pub(super) edited: Vec<u8>,
    pub(super) fields: Vec<Field>,
    /// How many of the fields were received; edits are behind them.
    pub(super) received: usize,
    pub(super) start: Start,
    pub(super) edited_target: Option<(Span, usize)>,
    pub(super) edited_authority: Option<Named>,
    /// Length of the head, in bytes.
    length: usize,
    /// Bytes behind the head that are used up.
    used: usize,
}

impl Head {
    /// An empty head; nothing is allocated.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            arena: Vec::new(),
            edited: Vec::new(),
            fields: Vec::new(),
            received: 0,
            start: Start {
                method: Span { start: 0, length: 0 },
                target: Span { start: 0, length: 0 },
                query: 0,
                authority: Named { span: Span { start: 0, length: 0 }, host: 0, port: None },
                scheme: None,
                version: Version::Http11,
                status: 0,
                phrase: Span { start: 0, length: 0 },
                body: Body::None,
                declared: None,
                is_kept: false,
                expect_continue: false,
                upgrades: false,
                te_trailers: false,
            },
            edited_target: None,
            edited_authority: None,
            length: 0,
            used: 0,
        }
    }

    // The bytes.

    /// Where bytes are received: add to its end until [`super::Parser::parse`] says that the head
    /// is complete, and after that until the body's bytes are taken elsewhere.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// The bytes behind the head that are not used up: its body, or the next head.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        self.arena.get(self.length + self.used..).unwrap_or_default()
    }

    /// Uses up the first `count` bytes of [`Self::rest`].
    pub fn use_rest(&mut self, count: usize) {
        self.used += count.min(self.rest().len());
        if self.rest().is_empty() {
            self.arena.truncate(self.length);
            self.used = 0;
        }
    }

    /// Gives memory back that holds nothing, before a wait of any length: a body may go on for hours after
    /// what came with its head.
    pub fn hold_little(&mut self) {
        if self.arena.capacity() > self.arena.len() + SPARE {
            self.arena.shrink_to_fit();
        }
    }

    /// Forgets the head and what was used up behind it. What is left of the rest is the beginning
    /// of the next head.
    pub fn recycle(&mut self) {
        let end = (self.length + self.used).min(self.arena.len());
        self.arena.drain(..end);
        self.edited.clear();
        self.fields.clear();
        self.received = 0;
        self.start = Start::default();
        self.edited_target = None;
        self.edited_authority = None;
        self.length = 0;
        self.used = 0;
    }

    /// The bytes of the head as they were received; HTTP/2's as it was filled in.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.arena.get(..self.length).unwrap_or_default()
    }

    pub(super) const fn parts(&mut self) -> (&mut Vec<u8>, &mut Vec<Field>) {
        (&mut self.arena, &mut self.fields)
    }

    /// The bytes of edits, and those that were received.
    pub(super) fn edits(&mut self) -> (&mut Vec<u8>, &[u8]) {
        (&mut self.edited, &self.arena)
    }

    pub(super) const fn finish(&mut self, length: usize, start: Start) {
        self.length = length;
        self.received = self.fields.len();
        self.start = start;
    }

    pub(super) fn text(&self, span: Span) -> &[u8] {
        let bytes = if span.start & EDITED == 0 { &self.arena } else { &self.edited };
        bytes.get(span.range()).unwrap_or_default()
    }

    // The request line.

    /// The method; nothing for responses.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.text(self.start.method)
    }

    /// Path and query as they go into the request line: begins with a slash, or is `*`. Nothing for
    /// CONNECT, whose target is the authority.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.text(self.target_span().0)
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let (span, query) = self.target_span();
        let target = self.text(span);
        let length = if query == 0 { target.len() } else { query - span.range().start };
        target.get(..length).unwrap_or_default()
    }

    /// The query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        let (span, query) = self.target_span();
        if query == 0 { None } else { self.text(span).get(query + 1 - span.range().start..) }
    }

    fn target_span(&self) -> (Span, usize) {
        self.edited_target.unwrap_or((self.start.target, self.start.query))
    }

    /// Host and port that the request is for, from the target or from `Host`; HTTP/2's `:authority`.
    /// Empty only in HTTP/1.0, or where an empty `Host` is allowed.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.text(self.named().span)
    }

    /// The host: a name as it was written, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.text(self.named().host_span())
    }

    /// The port, if it is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.named().port
    }

    pub(super) fn named(&self) -> Named {
        self.edited_authority.unwrap_or(self.start.authority)
    }

    /// The scheme, if the request names one.
    #[must_use]
    pub const fn scheme(&self) -> Option<Scheme> {
        self.start.scheme
    }

    /// The version that it came in.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.start.version
    }

    // The status line.

    /// The status; 0 for requests.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.start.status
    }

    /// The phrase behind the status.
    #[must_use]
    pub fn phrase(&self) -> &[u8] {
        self.text(self.start.phrase)
    }

    // What follows from the fields.

    /// How the body ends.
    #[must_use]
    pub const fn body(&self) -> Body {
        self.start.body
    }

    /// The length that the body would have, in a response to HEAD and in a 304.
    #[must_use]
    pub const fn declared_length(&self) -> Option<u64> {
        self.start.declared
    }

    /// Whether the connection that it came on can carry another message after this one.
    #[must_use]
    pub const fn is_kept_alive(&self) -> bool {
        self.start.is_kept
    }

    /// Whether the client waits for a 100 before it sends the body (RFC 9110, section 10.1.1).
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.start.expect_continue
    }

    /// Whether it asks for another protocol, or, in a response, changes to one: `Upgrade` is there,
    /// `Connection` names it, and there is no body.
    #[must_use]
    pub const fn is_upgrade(&self) -> bool {
        self.start.upgrades
    }

    /// The protocols of `Upgrade`, such as `websocket`.
    pub fn upgrade_protocols(&self) -> impl Iterator<Item = &[u8]> {
        // Nearly no request has any.
        let values = self.is_upgrade().then(|| self.all(b"upgrade"));
        values.into_iter().flatten().flat_map(super::token::elements)
    }

    /// Whether the client takes trailers (`TE: trailers`).
    #[must_use]
    pub const fn takes_trailers(&self) -> bool {
        self.start.te_trailers
    }

    // The fields.

    /// All fields in their order with their edits, those that are not passed on too.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let there = self.fields.iter().filter(|field| !field.has(REMOVED));
        there.map(|field| (self.text(field.name()), self.text(field.value())))
    }

    /// The fields that go to the next hop as they are: without those of this connection
    /// (RFC 9110, section 7.6.1), `Host`, and the framing.
    pub fn forwarded(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let forwarded = self.fields.iter().filter(|field| field.is_forwarded());
        forwarded.map(|field| (self.text(field.name()), self.text(field.value())))
    }

    /// The values of all fields of this name, in any case.
    pub fn all<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let there = self.fields.iter().filter(move |field| {
            field.name().length as usize == name.len()
                && !field.has(REMOVED)
                && self.text(field.name()).eq_ignore_ascii_case(name)
        });
        there.map(|field| self.text(field.value()))
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.all(name).next()
    }
}
