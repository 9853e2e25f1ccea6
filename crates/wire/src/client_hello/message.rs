//! The ClientHello itself (RFC 8446, section 4.1.2).

use super::Stop;
use super::name::{self, ServerName};
use super::reader::Reader;

/// Extensions by number (RFC 6066, 7301, 8446).
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

const TLS13: [u8; 2] = [3, 4];

/// What was asked of the message.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) server_name: ServerName,
    /// ProtocolNameList, checked.
    pub(super) alpn: Box<[u8]>,
    pub(super) early_data: bool,
    pub(super) tls13: bool,
}

/// Reads a whole message without its handshake head.
pub(super) fn read(body: &[u8]) -> Result<Facts, Stop> {
    let mut body = Reader(body);
    fixed_part(&mut body).ok_or(Stop::Malformed("the ClientHello has wrong lengths"))??;
    if body.is_empty() {
        return Ok(Facts::default()); // TLS 1.2 without extensions
    }
    let extensions = body
        .only_vector16()
        .ok_or(Stop::Malformed("the extensions do not fill the ClientHello"))?;
    no_type_twice(extensions)?;
    let mut facts = Facts::default();
    for (kind, content) in each(extensions) {
        extension(&mut facts, kind, content)?;
    }
    Ok(facts)
}

/// Passes over what stands before the extensions; `None` when it is cut.
fn fixed_part(body: &mut Reader<'_>) -> Option<Result<(), Stop>> {
    body.bytes(2 + 32)?; // a version of no meaning any more, and the random
    let session_id = body.vector8()?;
    let cipher_suites = body.vector16()?;
    let compressions = body.vector8()?;
    Some(if session_id.len() > 32 {
        Err(Stop::Malformed("the session id is longer than 32 bytes"))
    } else if cipher_suites.is_empty() || cipher_suites.len() % 2 == 1 {
        Err(Stop::Malformed("the list of cipher suites is empty or odd"))
    } else if compressions.is_empty() {
        Err(Stop::Malformed("the list of compression methods is empty"))
    } else {
        Ok(())
    })
}

/// The extensions, up to the first one that is cut: [`no_type_twice`] has seen that none is.
fn each(extensions: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Reader(extensions);
    std::iter::from_fn(move || Some((rest.u16()?, rest.vector16()?)))
}

/// No type may occur twice (RFC 8446, section 4.2): the endpoint might heed the other one.
fn no_type_twice(extensions: &[u8]) -> Result<(), Stop> {
    let mut types: Vec<u16> = Vec::with_capacity(32);
    let mut length = 0;
    for (kind, content) in each(extensions) {
        types.push(kind);
        length += 4 + content.len();
    }
    if length != extensions.len() {
        return Err(Stop::Malformed("an extension reaches beyond the end"));
    }
    types.sort_unstable();
    if types.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Stop::Malformed("an extension is there twice"));
    }
    Ok(())
}

fn extension(facts: &mut Facts, kind: u16, content: &[u8]) -> Result<(), Stop> {
    match kind {
        SERVER_NAME => facts.server_name = name::read(content)?,
        ALPN => facts.alpn = protocols(content)?,
        EARLY_DATA if content.is_empty() => facts.early_data = true,
        EARLY_DATA => return Err(Stop::Malformed("early_data is not empty")),
        SUPPORTED_VERSIONS => facts.tls13 = offers_tls13(content)?,
        _ => {}
    }
    Ok(())
}

/// RFC 7301, section 3.1: at least one name, none empty.
fn protocols(content: &[u8]) -> Result<Box<[u8]>, Stop> {
    let wrong = Stop::Malformed("the list of application protocols is wrong");
    let list = Reader(content).only_vector16().ok_or(wrong)?;
    let mut names = Reader(list);
    let mut count = 0;
    while !names.is_empty() {
        names.vector8().filter(|name| !name.is_empty()).ok_or(wrong)?;
        count += 1;
    }
    if count == 0 { Err(wrong) } else { Ok(list.into()) }
}

/// RFC 8446, section 4.2.1.
fn offers_tls13(content: &[u8]) -> Result<bool, Stop> {
    match Reader(content).only_vector8() {
        Some(versions) if !versions.is_empty() && versions.len() % 2 == 0 => {
            Ok(versions.chunks_exact(2).any(|version| version == TLS13))
        }
        _ => Err(Stop::Malformed("the list of supported versions is wrong")),
    }
}
