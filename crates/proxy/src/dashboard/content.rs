//! Bodies of answers, and the headers that all of them have.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What the browser may do with all that comes from here: run the page's own script, load nothing
/// from elsewhere, show it in no other page's frame (CSP Level 3; the Fetch standard).
const GUARDS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
];

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it; `None` once it is sent.
    Whole(Option<Bytes>),
    /// Pieces as they come, until the other end is dropped.
    Live(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(rest) => Poll::Ready(rest.take()),
            Self::Live(pieces) => pieces.poll_recv(cx),
        };
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(rest) => {
                SizeHint::with_exact(rest.as_ref().map_or(0, |it| it.len() as u64))
            }
            Self::Live(_) => SizeHint::default(),
        }
    }
}

/// An answer of this type.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: Content) -> Response<Content> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in GUARDS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// A file of the page.
pub(super) fn file(kind: &'static str, text: &'static str) -> Response<Content> {
    answer(StatusCode::OK, kind, Content::Whole(Some(Bytes::from_static(text.as_bytes()))))
}

/// A line for people.
pub(super) fn line(status: StatusCode, text: &str) -> Response<Content> {
    let text = Bytes::from(format!("{text}\n"));
    answer(status, "text/plain; charset=utf-8", Content::Whole(Some(text)))
}

/// Something for the page's script.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Content> {
    match serde_json::to_vec(value) {
        Ok(text) => answer(status, "application/json", Content::Whole(Some(text.into()))),
        Err(error) => line(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// Too many are here: to be asked again in some seconds.
pub(super) fn later(text: &str) -> Response<Content> {
    let mut response = line(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Another method is needed.
pub(super) fn not_so(methods: &'static str) -> Response<Content> {
    let mut response = line(StatusCode::METHOD_NOT_ALLOWED, methods);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
