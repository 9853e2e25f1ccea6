//! Where a body ends, whether the connection lives on, and the fields that say so (RFC 9112,
//! sections 6 and 9; RFC 9110, sections 7.6.1, 8.6 and 10.1.1).

use super::authority::Authority;
use super::field::{Field, Known};
use super::head::{Asked, Version};
use super::lenient::Lenient;
use super::limits::NOMINATED_MAX;
use super::reason::Reason;
use super::target::Named;
use super::token::{elements, is_token};

/// How a message's body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    #[default]
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the connection; responses only. Of no use for a client that must know whether it has
    /// everything.
    UntilClose,
}

/// What the fields of a head say, as far as this codec needs it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes {
    pub(super) host: Option<Named>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    /// `Connection: upgrade`.
    upgrade_named: bool,
    /// `Upgrade`.
    upgrade: bool,
    pub(super) expect_continue: bool,
    pub(super) te_trailers: bool,
    /// How many fields `Connection` names that are not of the codec's own.
    pub(super) nominated: u8,
}

impl Notes {
    /// Takes a field of a request in.
    pub(super) fn request_field(
        &mut self,
        field: &Field,
        bytes: &[u8],
        lenient: Lenient,
    ) -> Result<(), Reason> {
        let value = bytes.get(field.value().range()).unwrap_or_default();
        match field.known {
            Known::Host => self.host(field, value, lenient),
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expect_continue = true;
                Ok(())
            }
            Known::Expect => Err(Reason::ExpectUnknown),
            _ => self.field(field.known, value),
        }
    }

    /// Takes a field of a response in. There `Host` and `Expect` mean nothing.
    pub(super) fn response_field(&mut self, field: &Field, bytes: &[u8]) -> Result<(), Reason> {
        self.field(field.known, bytes.get(field.value().range()).unwrap_or_default())
    }

    fn field(&mut self, known: Known, value: &[u8]) -> Result<(), Reason> {
        match known {
            Known::ContentLength => self.content_length(value),
            Known::TransferEncoding => self.transfer_encoding(value),
            Known::Connection => self.connection(value),
            Known::Upgrade => {
                self.upgrade = true;
                if is_protocols(value) { Ok(()) } else { Err(Reason::UpgradeMalformed) }
            }
            Known::Te => {
                let mut codings = elements(value);
                self.te_trailers |= codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                Ok(())
            }
            Known::Other | Known::Hop | Known::Host | Known::Expect | Known::Forwarded => Ok(()),
        }
    }

    fn host(&mut self, field: &Field, value: &[u8], lenient: Lenient) -> Result<(), Reason> {
        if self.host.is_some() {
            return Err(Reason::HostDoubled);
        }
        let authority = Authority::read(value, lenient).ok_or(Reason::HostMalformed)?;
        self.host = Some(Named::new(field.value().range().start, authority));
        Ok(())
    }

    /// One decimal number, once. Leading zeros say nothing and are not passed on; lists, signs and
    /// repetitions are refused, equal ones too.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Reason> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Reason::LengthMalformed);
        }
        let length = value.iter().try_fold(0u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        let length = length.filter(|length| i64::try_from(*length).is_ok());
        let length = length.ok_or(Reason::LengthTooLarge)?;
        match self.length.replace(length) {
            None => Ok(()),
            Some(other) if other == length => Err(Reason::LengthDoubled),
            Some(_) => Err(Reason::LengthDiffers),
        }
    }

    /// `chunked` alone and once: no other coding can be passed on without being understood.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reason> {
        for coding in elements(value) {
            match coding {
                _ if coding.eq_ignore_ascii_case(b"chunked") => {
                    if std::mem::replace(&mut self.chunked, true) {
                        return Err(Reason::CodingDoubled);
                    }
                }
                _ if !is_token(coding) => return Err(Reason::CodingMalformed),
                _ if self.chunked => return Err(Reason::ChunkedNotLast),
                _ => return Err(Reason::CodingUnknown),
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Reason> {
        for option in elements(value).filter(|option| !option.is_empty()) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_named = true;
            } else if !is_token(option) {
                return Err(Reason::ConnectionMalformed);
            } else if !super::field::known(option).is_owned() {
                if self.nominated >= NOMINATED_MAX {
                    return Err(Reason::ConnectionTooMany);
                }
                self.nominated += 1;
            }
        }
        Ok(())
    }

    /// RFC 9112, section 6.3, for requests.
    pub(super) fn request_body(&self, method: &[u8], version: Version) -> Result<Body, Reason> {
        let body = self.body(version)?.unwrap_or_default();
        let has_body = !matches!(body, Body::None | Body::Length(0));
        // No content: RFC 9110, sections 9.3.6 and 9.3.8. In HTTP/1.0 it had no meaning for these
        // methods, and there are programs that do not look for it.
        let refused = match method {
            b"CONNECT" | b"TRACE" => has_body,
            b"GET" | b"HEAD" | b"DELETE" => has_body && version == Version::Http10,
            _ => false,
        };
        match (refused, method) {
            (true, _) => Err(Reason::UnexpectedBody),
            (false, b"CONNECT") => Ok(Body::None),
            (false, _) => Ok(body),
        }
    }

    /// RFC 9112, section 6.3, for responses; also the length that the response to GET would have.
    pub(super) fn response_body(
        &self,
        status: u16,
        asked: Asked,
        version: Version,
    ) -> Result<(Body, Option<u64>), Reason> {
        let body = self.body(version)?;
        match status {
            101 if !asked.upgrade => Err(Reason::UpgradeUnasked),
            // RFC 9110, section 8.6 and RFC 9112, section 6.1: neither field may be here. A length
            // of 0 says what is so.
            100..=199 | 204 => match body {
                None | Some(Body::Length(0)) => Ok((Body::None, None)),
                Some(_) => Err(Reason::UnexpectedBody),
            },
            // RFC 9110, section 9.3.6: to be ignored.
            200..=299 if asked.connect => Ok((Body::None, None)),
            304 => Ok((Body::None, self.length)),
            _ if asked.head => Ok((Body::None, self.length)),
            _ => Ok((body.unwrap_or(Body::UntilClose), None)),
        }
    }

    fn body(&self, version: Version) -> Result<Option<Body>, Reason> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Reason::LengthWithCoding),
            (None, true) if version == Version::Http10 => Err(Reason::CodingInHttp10),
            (None, true) => Ok(Some(Body::Chunked)),
            (length, false) => Ok(length.map(Body::Length)),
        }
    }

    /// RFC 9112, section 9.3: whether this side of the connection can carry another message.
    pub(super) fn is_kept(&self, version: Version) -> bool {
        match version {
            Version::Http10 => self.keep_alive && !self.close,
            Version::Http11 | Version::Http2 => !self.close,
        }
    }

    /// RFC 9110, section 7.8: an upgrade must be named in `Connection`, and HTTP/1.0 has none. With
    /// a body it is passed over, as a recipient may: what follows the body would be uncertain.
    pub(super) fn upgrades(&self, version: Version, body: Body) -> bool {
        let has_body = !matches!(body, Body::None | Body::Length(0));
        self.upgrade && self.upgrade_named && version == Version::Http11 && !has_body
    }
}

/// Whether `value` is a list of protocols, each with an optional version (RFC 9110, section 7.8).
fn is_protocols(value: &[u8]) -> bool {
    elements(value).all(|protocol| match protocol.iter().position(|byte| *byte == b'/') {
        None => is_token(protocol),
        Some(slash) => {
            let (name, version) = protocol.split_at(slash);
            is_token(name) && version.get(1..).is_some_and(is_token)
        }
    })
}
