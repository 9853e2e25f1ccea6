//! Which answers go compressed, and what their heads say of it.

use crate::exchange::Run;
use crate::h1::Packer;
use crate::h2;
use eclusa_config::plan::Compress;
use eclusa_proxy::layer7::Compressed;
use eclusa_wire::http1::{Body, Head, Version};

/// Below this a body grows, or saves less than it costs to begin.
const LENGTH_MIN: u64 = 256;
/// Digests of the very bytes that the endpoint sent (RFC 9530; RFC 1864).
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

impl Run<'_> {
    /// What compresses this response to the request in `head`, if it is one that is; its head says so
    /// then.
    pub(crate) fn packer(&self, head: &Head, response: &mut Head) -> Option<Box<Packer>> {
        let plan = self.http.plan.compress.as_ref()?;
        if !takes_gzip(head) || h2::is_grpc(head) || !may_be_packed(plan, response) {
            return None;
        }
        let packer = Packer::begin(plan.at_once);
        let outcome = if packer.is_some() { Compressed::Done } else { Compressed::Passed };
        self.session.connection.compressed(outcome);
        if packer.is_some() {
            tell(response);
        }
        packer
    }
}

/// Says in the head of a response that its body is compressed.
fn tell(response: &mut Head) {
    let etag = response.first(b"etag").filter(|tag| !tag.starts_with(b"W/"));
    if let Some(weak) = etag.map(|tag| [b"W/", tag].concat()) {
        // Another body is another representation, of the same content (RFC 9110, section 8.8.1).
        let _ = response.set(b"ETag", &weak);
    }
    let _ = response.set(b"Content-Encoding", b"gzip");
    // A part that the endpoint would send is one of other bytes.
    response.remove(b"Accept-Ranges");
    let _ = response.add(b"Vary", b"Accept-Encoding");
}

/// Whether who has sent this request reads an answer that is compressed by gzip.
fn takes_gzip(head: &Head) -> bool {
    if head.version() == Version::Http10 || head.method() == b"HEAD" {
        return false;
    }
    let (mut gzip, mut others) = (None, None);
    let lines = head.all(b"accept-encoding");
    for item in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let wanted = !parts.any(is_unwanted);
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            gzip = Some(wanted);
        } else if coding == b"*" {
            others = Some(wanted);
        }
    }
    gzip.or(others).unwrap_or(false)
}

/// `q=0`, `q=0.00`
fn is_unwanted(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| {
        !weight.is_empty() && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
    })
}

/// Whether a response is worth it, and may be changed.
fn may_be_packed(plan: &Compress, response: &Head) -> bool {
    let body = match response.body() {
        Body::Length(length) => length >= LENGTH_MIN,
        Body::Chunked => true,
        // HTTP/2 says where it ends.
        Body::UntilClose => response.version() == Version::Http2,
        Body::None => false,
    };
    let no_transform = |value: &[u8]| {
        let mut words = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        words.any(|word| word.eq_ignore_ascii_case(b"no-transform"))
    };
    body && response.version() != Version::Http10
        && matches!(response.status(), 200..=203)
        && response.first(b"content-encoding").is_none()
        && DIGESTS.iter().all(|name| response.first(name).is_none())
        && !response.all(b"cache-control").any(no_transform)
        && has_one_tag(response)
        && is_of(&plan.types, response.first(b"content-type"))
}

/// Whether its `ETag`, if it has one, is one (RFC 9110, section 8.8.3).
fn has_one_tag(response: &Head) -> bool {
    let mut tags = response.all(b"etag");
    let Some(tag) = tags.next() else { return true };
    let opaque = tag.strip_prefix(b"W/").unwrap_or(tag);
    tags.next().is_none()
        && opaque.len() >= 2
        && opaque.starts_with(b"\"")
        && opaque.ends_with(b"\"")
}

/// Whether a media type begins as one of these; `*` stands for all but those of several parts.
fn is_of(types: &[std::sync::Arc<str>], media: Option<&[u8]>) -> bool {
    let begins = |beginning: &str| {
        let start = media.and_then(|media| media.get(..beginning.len()));
        start.is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
    };
    !begins("multipart") && types.iter().any(|one| **one == *"*" || begins(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_wire::http1::{Asked, Lenient, Limits, Parsed, Parser};

    fn request(line: &str, fields: &str) -> Head {
        parsed(&format!("{line}\r\nHost: a\r\n{fields}\r\n"), None)
    }

    fn response(line: &str, fields: &str) -> Head {
        parsed(&format!("{line}\r\n{fields}\r\n"), Some(Asked::default()))
    }

    fn parsed(text: &str, asked: Option<Asked>) -> Head {
        let mut head = Head::new();
        *head.buffer() = text.as_bytes().to_vec();
        let mut parser = match asked {
            None => Parser::request(Limits::default(), Lenient::NONE),
            Some(asked) => Parser::response(asked, Limits::default(), Lenient::NONE),
        };
        assert_eq!(parser.parse(&mut head), Parsed::Complete(text.len()), "{text}");
        head
    }

    #[test]
    fn who_does_not_ask_for_it_gets_what_the_endpoint_sent() {
        let get = "GET / HTTP/1.1";
        for (line, accepts, expected) in [
            (get, "gzip", true),
            (get, "deflate, GZIP;q=0.5, br", true),
            (get, "x-gzip", true),
            (get, "*", true),
            (get, "identity, *;q=0", false),
            (get, "gzip;q=0, *", false),
            (get, "gzip; q=0.000", false),
            (get, "gzip;q=0.001", true),
            (get, "br", false),
            (get, "gzipped", false),
            ("HEAD / HTTP/1.1", "gzip", false),
            ("GET / HTTP/1.0", "gzip", false),
        ] {
            let head = request(line, &format!("Accept-Encoding: {accepts}\r\n"));
            assert_eq!(takes_gzip(&head), expected, "{line} {accepts}");
        }
        assert!(!takes_gzip(&request(get, "")));
        assert!(takes_gzip(&request(get, "Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n")));
    }

    #[test]
    fn what_is_encoded_marked_or_of_another_type_stays_as_it_is() {
        let ok = "HTTP/1.1 200 OK";
        let (text, length) =
            ("Content-Type: text/html; charset=utf-8\r\n", "Content-Length: 256\r\n");
        let plan = |types: &[&str]| Compress {
            types: types.iter().map(|one| (*one).into()).collect(),
            at_once: 1,
        };
        let texts = plan(&["text/", "application/json"]);
        for (line, fields, expected) in [
            (ok, format!("{text}{length}"), true),
            (ok, format!("{text}Transfer-Encoding: chunked\r\n"), true),
            ("HTTP/1.1 203 Changed", format!("{text}{length}"), true),
            (ok, text.to_owned(), false),
            ("HTTP/1.0 200 OK", format!("{text}{length}"), false),
            ("HTTP/1.1 206 Part", format!("{text}{length}"), false),
            ("HTTP/1.1 404 None", format!("{text}{length}"), false),
            (ok, format!("{text}Content-Length: 0\r\n"), false),
            (ok, format!("{text}Content-Length: 255\r\n"), false),
            (ok, format!("{text}{length}Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n"), false),
            (ok, format!("{text}{length}Content-Encoding: br\r\n"), false),
            (ok, format!("{text}{length}Cache-Control: public, No-Transform\r\n"), false),
            (ok, format!("{text}{length}ETag: \"a\"\r\n"), true),
            (ok, format!("{text}{length}ETag: W/\"a\"\r\n"), true),
            (ok, format!("{text}{length}ETag: a\r\n"), false),
            (ok, format!("{text}{length}ETag: \"a\"\r\nETag: \"b\"\r\n"), false),
            (ok, format!("Content-Type: APPLICATION/JSON\r\n{length}"), true),
            (ok, format!("Content-Type: image/png\r\n{length}"), false),
            (ok, length.to_owned(), false),
        ] {
            assert_eq!(
                may_be_packed(&texts, &response(line, &fields)),
                expected,
                "{line} {fields}"
            );
        }
        let all = plan(&["*"]);
        for (fields, expected) in [
            (length.to_owned(), true),
            (format!("Content-Type: image/png\r\n{length}"), true),
            (format!("Content-Type: multipart/byteranges\r\n{length}"), false),
        ] {
            assert_eq!(may_be_packed(&all, &response(ok, &fields)), expected, "{fields}");
        }
    }

    #[test]
    fn its_head_says_so() {
        let mut head = response(
            "HTTP/1.1 200 OK",
            "ETag: \"a\"\r\nVary: Cookie\r\nAccept-Ranges: bytes\r\nContent-Length: 9\r\n",
        );
        tell(&mut head);
        let all = |name: &[u8]| {
            head.all(name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(all(b"etag"), ["W/\"a\""]);
        assert_eq!(all(b"content-encoding"), ["gzip"]);
        assert_eq!(all(b"vary"), ["Cookie", "Accept-Encoding"]);
        assert!(all(b"accept-ranges").is_empty());
        let mut weak = response("HTTP/1.1 200 OK", "ETag: W/\"a\"\r\nContent-Length: 9\r\n");
        tell(&mut weak);
        assert_eq!(weak.first(b"etag"), Some(&b"W/\"a\""[..]));
    }
}
