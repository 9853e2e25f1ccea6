//! The HTTP/1 codec beside `httparse`, hyper's parser: what we accept it accepts and reads the
//! same; where only it accepts, our reason is one that is explained here.

use super::oracle::{How, read};
use eclusa_wire::http1::{
    Asked, Chunked, Head, Lenient, Limits, Parsed, Reason, Trailers, Version,
};
use httparse::{EMPTY_HEADER, Header, Request, Response, Status, parse_chunk_size};

/// Where we are stricter, and why.
const STRICTER: &[(&[Reason], &str)] = &[
    (&[Reason::BareLf], "it takes LF for a line end (RFC 9112, section 2.2 lets it)"),
    (&[Reason::EmptyLines], "it passes over any number of empty lines"),
    (
        &[
            Reason::MethodTooLong,
            Reason::StartLineTooLong,
            Reason::NameTooLong,
            Reason::HeadTooLarge,
        ],
        "it leaves limits to the caller",
    ),
    (&[Reason::MethodCase], "it knows no methods"),
    (&[Reason::Http2Preface], "it knows no preface: `PRI` is a method like others"),
    (
        &[
            Reason::TargetForm,
            Reason::TargetByte,
            Reason::TargetFragment,
            Reason::TargetNonAscii,
            Reason::TargetPercent,
            Reason::TargetScheme,
            Reason::TargetUserinfo,
            Reason::TargetAuthority,
        ],
        "it takes any visible bytes for a target",
    ),
    (&[Reason::StatusRange], "it takes any three digits"),
    (
        &[Reason::StatusLine],
        "it takes a status line without the blank behind the status, and empty lines before",
    ),
    (&[Reason::NameLookAlike], "it knows no names"),
    (
        &[Reason::HostMissing, Reason::HostDoubled, Reason::HostMalformed, Reason::HostMismatch],
        "it does not look at Host",
    ),
    (
        &[
            Reason::LengthMalformed,
            Reason::LengthTooLarge,
            Reason::LengthDoubled,
            Reason::LengthDiffers,
            Reason::LengthWithCoding,
            Reason::CodingMalformed,
            Reason::CodingUnknown,
            Reason::CodingDoubled,
            Reason::ChunkedNotLast,
            Reason::CodingInHttp10,
            Reason::UnexpectedBody,
        ],
        "it leaves framing to the caller",
    ),
    (
        &[
            Reason::ConnectionMalformed,
            Reason::ConnectionTooMany,
            Reason::ExpectUnknown,
            Reason::UpgradeMalformed,
            Reason::UpgradeUnasked,
        ],
        "it does not look at Connection, Expect and Upgrade",
    ),
];

/// How a message that was said so far could go on; one of these ends it.
const ENDS: &[&[u8]] =
    &[b"\r\n\r\n", b"\n\r\n\r\n", b": \r\n\r\n", b" / HTTP/1.1\r\n\r\n", b" 200 \r\n\r\n"];

/// Only one of the two has its mind made up: it refused at a byte where we wait for the end of the
/// line, or we refused where it does. However the message goes on it must not become a difference
/// that is not explained.
fn however_it_goes_on(data: &[u8], compare: fn(&[u8])) {
    // One step: what is told of a whole message is compared by itself.
    if !data.ends_with(b"\r\n\r\n") {
        ENDS.iter().for_each(|end| compare(&[data, end].concat()));
    }
}

fn is_explained(reason: Reason) -> bool {
    STRICTER.iter().any(|(reasons, _)| reasons.contains(&reason))
}

fn version(head: &Head) -> Option<u8> {
    Some(u8::from(head.version() == Version::Http11))
}

fn same_fields(head: &Head, theirs: &[Header<'_>]) {
    let theirs = theirs.iter().map(|header| (header.name.as_bytes(), header.value));
    assert!(head.fields().eq(theirs), "the fields differ");
}

/// Panics if `data` as a request is read in another way.
pub fn compare_request(data: &[u8]) {
    let (ours, head) = read(data, How { asked: None, lenient: Lenient::NONE });
    let mut headers = [EMPTY_HEADER; 100];
    let mut request = Request::new(&mut headers);
    let theirs = request.parse(data);
    match (ours, theirs) {
        (Parsed::Complete(length), Ok(Status::Complete(other))) => {
            assert_eq!(length, other);
            assert_eq!(Some(head.method()), request.method.map(str::as_bytes));
            assert_eq!(version(&head), request.version);
            same_fields(&head, request.headers);
            let target = request.path.unwrap_or_default().as_bytes();
            if target.starts_with(b"/") {
                assert_eq!(head.target(), target);
            } else if head.method() == b"CONNECT" {
                assert_eq!(head.authority(), target);
            } else if !matches!(head.target(), b"*" | b"/") {
                let rest = head.target();
                assert!(target.ends_with(rest.strip_prefix(b"/").unwrap_or(rest)));
            }
        }
        (Parsed::Complete(_), other) => panic!("it does not accept this: {other:?}"),
        (Parsed::Refused(reason), Ok(Status::Complete(_))) => {
            assert!(is_explained(reason), "{reason:?} is not explained");
        }
        (Parsed::NeedMore, Ok(Status::Complete(_))) => panic!("it does not wait for more"),
        (Parsed::NeedMore, Err(_)) | (Parsed::Refused(_), Ok(Status::Partial)) => {
            however_it_goes_on(data, compare_request);
        }
        (Parsed::NeedMore, Ok(Status::Partial)) | (Parsed::Refused(_), Err(_)) => {}
    }
}

/// Panics if `data` as a response is read in another way.
pub fn compare_response(data: &[u8]) {
    let (ours, head) = read(data, How { asked: Some(Asked::default()), lenient: Lenient::NONE });
    let mut headers = [EMPTY_HEADER; 100];
    let mut response = Response::new(&mut headers);
    let theirs = response.parse(data);
    match (ours, theirs) {
        (Parsed::Complete(length), Ok(Status::Complete(other))) => {
            assert_eq!(length, other);
            assert_eq!(Some(head.status()), response.code);
            assert_eq!(version(&head), response.version);
            // It leaves a phrase out that is not ASCII.
            let phrase = response.reason.unwrap_or_default().as_bytes();
            assert!(head.phrase() == phrase || (phrase.is_empty() && !head.phrase().is_ascii()));
            same_fields(&head, response.headers);
        }
        (Parsed::Complete(_), other) => panic!("it does not accept this: {other:?}"),
        (Parsed::Refused(reason), Ok(Status::Complete(_))) => {
            assert!(is_explained(reason), "{reason:?} is not explained");
        }
        (Parsed::NeedMore, Ok(Status::Complete(_))) => panic!("it does not wait for more"),
        (Parsed::NeedMore, Err(_)) | (Parsed::Refused(_), Ok(Status::Partial)) => {
            however_it_goes_on(data, compare_response);
        }
        (Parsed::NeedMore, Ok(Status::Partial)) | (Parsed::Refused(_), Err(_)) => {}
    }
}

/// Why we refuse the head of a chunk that it takes, with what it then reads.
const STRICTER_CHUNKS: &[(&[Reason], &str)] = &[
    (&[Reason::ChunkSize], "it takes blanks behind a size and LF for CR LF behind an extension"),
    (
        &[Reason::ChunkExtension, Reason::ChunkExtensionTooLong],
        "it takes anything of any length for an extension",
    ),
    (&[Reason::ChunkTooLarge], "it takes sizes of 2^63 and above, and more digits than we"),
];

/// Panics if the size of the first chunk in `data` is read in another way, or if we refuse what it
/// takes for another reason than [`STRICTER_CHUNKS`] has.
pub fn compare_chunk(data: &[u8]) {
    let mut chunked = Chunked::new(Limits::default(), Lenient::NONE);
    let mut at = 0;
    while let Some(byte) = data.get(at) {
        // Byte by byte, up to the end of the head.
        at += 1;
        if let Err(reason) = chunked.decode(&[*byte], &mut Trailers::default()) {
            let explained = STRICTER_CHUNKS.iter().any(|(reasons, _)| reasons.contains(&reason));
            let taken = matches!(parse_chunk_size(data), Ok(Status::Complete(_)));
            assert!(explained || !taken, "{reason:?} is not explained");
            return;
        }
        if chunked.left_in_chunk() > 0 {
            let size = chunked.left_in_chunk();
            assert_eq!(parse_chunk_size(&data[..at]), Ok(Status::Complete((at, size))));
            return;
        }
        if data[..at].ends_with(b"\r\n") {
            assert_eq!(parse_chunk_size(&data[..at]), Ok(Status::Complete((at, 0))));
            return;
        }
    }
}
