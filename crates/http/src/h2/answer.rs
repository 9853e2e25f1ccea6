//! Answers of our own to requests of HTTP/2.

use super::grpc::is_grpc;
use super::{fields, grpc};
use crate::answer::{Answer, phrase};
use crate::exchange::{Done, Run, Then};
use crate::stream::Stream;
use eclusa_policy::rules::Edit;
use eclusa_proxy::layer7::{End, Who};
use eclusa_wire::http1::{Head, Trailers};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use std::future::poll_fn;
use std::io;
use tokio::time::timeout;

impl Run<'_> {
    /// Answers without an endpoint. `end`: why, where that is somebody's fault. The stream ends with it,
    /// whatever the client still sends: that is told by RST_STREAM(NO_ERROR) (RFC 9113, section 8.1).
    pub(crate) async fn answer_in_frames(
        &mut self,
        head: &Head,
        answer: &Answer,
        edits: &[Edit<'_>],
        end: Option<End>,
    ) -> Done {
        if answer.status >= 400 && is_grpc(head) {
            return self.answer_grpc(answer, end);
        }
        let (written, body) = answer.parts(head, &self.site.pages, edits);
        let mut fields = HeaderMap::with_capacity(written.len() + 1);
        for (name, value) in &written {
            // Names were checked with the configuration, values are screened: what is still no field is
            // left out.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            {
                fields.append(name, value);
            }
        }
        if answer.has_body() {
            fields.insert(CONTENT_LENGTH, body.len().into());
        }
        let body = if head.method() == b"HEAD" || !answer.has_body() { &[] } else { &*body };
        self.record.status = answer.status;
        let sending = send(self.client, fields::response(answer.status, fields), body);
        let sent = timeout(self.http.plan.body_timeout, sending).await;
        self.record.bytes.1 = body.len() as u64;
        Done::of_answer(sent, end, Then::Again)
    }

    /// Answers a call of gRPC: its clients look for a status of their own. The record has that of HTTP,
    /// which says more.
    fn answer_grpc(&mut self, answer: &Answer, end: Option<End>) -> Done {
        self.record.status = answer.status;
        let fields = grpc::fields(answer.status, phrase(answer.status));
        let Stream::Http2(stream) = self.client else {
            return Done { end: End::clean(Who::Proxy), then: Then::Close };
        };
        Done::of_answer(Ok(stream.send_head(fields::response(200, fields), true)), end, Then::Again)
    }
}

/// Sends a response with all of its body.
async fn send(client: &mut Stream, head: http::Response<()>, body: &[u8]) -> io::Result<()> {
    let Stream::Http2(stream) = client else { return Ok(()) };
    stream.send_head(head, body.is_empty())?;
    let mut rest = body;
    while !rest.is_empty() {
        let written = poll_fn(|context| stream.poll_write(context, rest)).await?;
        rest = rest.get(written..).unwrap_or_default();
    }
    // The last of it says that it is the last.
    stream.finish(&Trailers::default())
}
