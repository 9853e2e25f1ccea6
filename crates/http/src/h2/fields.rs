//! Heads and trailers as h2 has them, and as the exchange has them. What differs between the versions is
//! settled here: pseudo-header fields, crumbs of cookies, extended CONNECT.

use super::names::name;
use super::stream::Upgrade;
use super::websocket;
use bytes::Bytes;
use eclusa_wire::http1::{
    Asked, Body, Head, Lenient, Limits, Reason, Scheme, Trailers, Version as HttpVersion,
};
use h2::ext::Protocol;
use http::header::{
    CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, TE,
};
use http::{Method, Request, Response, StatusCode, Version};

/// Fills `head` with a request. `ends`: it has no body. An extended CONNECT (RFC 8441) becomes the GET with
/// `Upgrade` that HTTP/1 says the same with, so that routes and rules see no difference.
///
/// # Errors
/// [`Reason`], as for HTTP/1; what was filled in stays.
pub(super) fn to_head<B>(
    head: &mut Head,
    request: &Request<B>,
    ends: bool,
    (limits, lenient): (&Limits, Lenient),
) -> Result<(), Reason> {
    let uri = request.uri();
    let protocol = request.extensions().get::<Protocol>();
    let is_connect = request.method() == Method::CONNECT && protocol.is_none();
    let method = if protocol.is_some() { &Method::GET } else { request.method() };
    let target = match uri.path_and_query() {
        _ if is_connect => "",
        // h2 gives "/" where neither `:path` nor `:authority` came.
        Some(target) if !uri.path().is_empty() => target.as_str(),
        _ => return Err(Reason::TargetForm),
    };
    if target.len() > limits.start_line() {
        return Err(Reason::StartLineTooLong);
    }
    let scheme = match uri.scheme_str() {
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(_) => return Err(Reason::TargetScheme),
        None => None,
    };
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let (method, authority) = (method.as_str().as_bytes(), authority.as_bytes());
    head.begin_request(method, scheme, authority, target.as_bytes(), lenient)?;
    let fields = request.headers();
    let is_websocket = protocol.is_some_and(|it| it.as_str().eq_ignore_ascii_case("websocket"));
    // A key of the client's means nothing here; ours is checked.
    let is_ours = |name: &HeaderName| *name == COOKIE || is_websocket && *name == SEC_WEBSOCKET_KEY;
    for (name, value) in fields.iter().filter(|(name, _)| !is_ours(name)) {
        head.append(name.as_str().as_bytes(), value.as_bytes(), limits, lenient)?;
    }
    cookies(head, fields, (limits, lenient))?;
    if head.authority().is_empty() && !fields.contains_key("host") {
        return Err(Reason::HostMissing);
    }
    match (method, head.body()) {
        (b"CONNECT" | b"TRACE", _) if fields.contains_key(CONTENT_LENGTH) => {
            return Err(Reason::UnexpectedBody);
        }
        (b"TRACE", _) if !ends => return Err(Reason::UnexpectedBody),
        (b"CONNECT", _) => {}
        (_, Body::None) if !ends && protocol.is_none() => head.set_body(Body::Chunked),
        _ => {}
    }
    if is_websocket {
        head.append(b"sec-websocket-key", websocket::key().as_bytes(), limits, lenient)?;
    }
    match protocol {
        Some(protocol) => head.set_upgrade(protocol.as_str().as_bytes(), limits),
        None => Ok(()),
    }
}

/// Cookies may come in crumbs, and go on as one field (RFC 9113, section 8.2.3).
fn cookies(
    head: &mut Head,
    fields: &HeaderMap,
    (limits, lenient): (&Limits, Lenient),
) -> Result<(), Reason> {
    let mut crumbs = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let Some(first) = crumbs.next() else { return Ok(()) };
    let mut all = std::borrow::Cow::Borrowed(first);
    for crumb in crumbs {
        let all = all.to_mut();
        all.extend_from_slice(b"; ");
        all.extend_from_slice(crumb);
    }
    head.append(b"cookie", &all, limits, lenient)
}

/// Fills `head` with an endpoint's response to what `asked` says. `ends`: nothing follows.
///
/// # Errors
/// [`Reason`], as for HTTP/1.
pub(super) fn to_answer<B>(
    head: &mut Head,
    response: &Response<B>,
    ends: bool,
    asked: Asked,
    (limits, lenient): (&Limits, Lenient),
) -> Result<(), Reason> {
    head.begin_response(HttpVersion::Http2, response.status().as_u16())?;
    for (name, value) in response.headers() {
        head.append(name.as_str().as_bytes(), value.as_bytes(), limits, lenient)?;
    }
    head.finish_response(asked, ends)
}

/// Fills `head` with the 101 that HTTP/1 knows where an endpoint has granted an extended CONNECT.
///
/// # Errors
/// [`Reason`], as for HTTP/1.
pub(super) fn to_upgrade<B>(
    head: &mut Head,
    response: &Response<B>,
    upgrade: &Upgrade,
    (limits, lenient): (&Limits, Lenient),
) -> Result<(), Reason> {
    head.begin_response(HttpVersion::Http2, 101)?;
    for (name, value) in response.headers() {
        if *name != SEC_WEBSOCKET_ACCEPT && *name != CONTENT_LENGTH {
            head.append(name.as_str().as_bytes(), value.as_bytes(), limits, lenient)?;
        }
    }
    if let Some(key) = &upgrade.key {
        let accept = websocket::accept(key);
        head.append(b"sec-websocket-accept", accept.as_bytes(), limits, lenient)?;
    }
    head.set_upgrade(&upgrade.protocol, limits)
}

/// The request in `head` for an endpoint, with `upgrade` as an extended CONNECT; `None`: HTTP/2 has no form
/// for it.
pub(super) fn of_request(
    head: &Head,
    upgrade: Option<&[u8]>,
    scheme: http::uri::Scheme,
) -> Option<Request<()>> {
    let mut fields = of_head(head);
    if let Body::Length(length) = head.body() {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    if head.takes_trailers() {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    let mut request = Request::new(());
    let mut uri = http::uri::Parts::default();
    uri.authority = Some(http::uri::Authority::try_from(head.authority()).ok()?);
    if head.method() != b"CONNECT" {
        uri.scheme = Some(scheme);
        uri.path_and_query = Some(http::uri::PathAndQuery::try_from(head.target()).ok()?);
    }
    *request.uri_mut() = http::Uri::from_parts(uri).ok()?;
    *request.method_mut() = match upgrade {
        None => Method::from_bytes(head.method()).ok()?,
        Some(protocol) => {
            fields.remove(SEC_WEBSOCKET_KEY);
            // HTTP/1 does not mind the case; RFC 8441 has it in small letters.
            let protocol = std::str::from_utf8(protocol).ok()?.to_ascii_lowercase();
            let protocol = Protocol::from(protocol.as_str());
            request.extensions_mut().insert(protocol);
            Method::CONNECT
        }
    };
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = fields;
    Some(request)
}

/// A response with the fields that go to the next hop, and `Content-Length` where `body` has one.
pub(crate) fn of_response(head: &Head, body: Body) -> Response<()> {
    let mut fields = of_head(head);
    let length = match body {
        Body::Length(length) => Some(length),
        Body::None => head.declared_length(),
        _ => None,
    };
    if let Some(length) = length {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    response(head.status(), fields)
}

/// The answer to an extended CONNECT, or to a CONNECT, that is granted: what belongs to the handshake of
/// HTTP/1 is left out (RFC 8441, section 5.1).
pub(super) fn of_tunnel(head: &Head) -> Response<()> {
    let mut fields = of_head(head);
    fields.remove(SEC_WEBSOCKET_ACCEPT);
    response(200, fields)
}

/// A response with this status and these fields.
pub(super) fn response(status: u16, fields: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    // Others were refused when they were read.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = fields;
    response
}

/// The fields that go to the next hop. Their values are places in one copy of all.
fn of_head(head: &Head) -> HeaderMap {
    let lengths = head.forwarded().map(|(_, value)| value.len());
    let (count, length) = lengths.fold((0, 0), |(count, sum), length| (count + 1, sum + length));
    let mut all = Vec::with_capacity(length);
    head.forwarded().for_each(|(_, value)| all.extend_from_slice(value));
    let mut all = Bytes::from(all);
    let mut fields = HeaderMap::with_capacity(count + 1);
    for (written, value) in head.forwarded() {
        let value = HeaderValue::from_maybe_shared(all.split_to(value.len()));
        // What HTTP/2 has no form for (a control character that `allow` lets through) is left out.
        if let (Some(name), Ok(value)) = (name(written), value) {
            // There are fewer than the map can have: heads are bounded.
            let _ = fields.try_append(name, value);
        }
    }
    fields
}

/// How long the request's body is, where it says so. h2 sees to it that this is true.
pub(super) fn declared_length<B>(request: &Request<B>) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Trailers, by the rules of HTTP/1's.
///
/// # Errors
/// [`Reason`]
pub(super) fn to_trailers(fields: Option<&HeaderMap>, limits: &Limits) -> Result<Trailers, Reason> {
    let mut trailers = Trailers::default();
    for (name, value) in fields.into_iter().flatten() {
        trailers.append(name.as_str().as_bytes(), value.as_bytes(), limits)?;
    }
    Ok(trailers)
}

/// The same the other way.
pub(super) fn of_trailers(trailers: &Trailers) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (written, value) in trailers.fields() {
        if let (Some(name), Ok(value)) = (name(written), HeaderValue::from_bytes(value)) {
            let _ = fields.try_append(name, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests;
