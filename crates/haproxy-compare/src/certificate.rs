//! Throw-away certificates: those of a haproxy.cfg may be on another host, and those that endpoints
//! are to show are nobody's but the bed's. Written by hand (X.509, RFC 5280; DER), for this needs a
//! handful of fields, and the programs that ship make no certificates otherwise.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The name of the authority.
const AUTHORITY: &str = "eclusa import --check-live";

/// A key with what is known of it.
struct Key {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

/// Signs certificates.
pub(crate) struct Authority {
    key: Key,
    der: Vec<u8>,
    next: AtomicU64,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) der: Vec<u8>,
    /// The key (PKCS#8).
    pub(crate) key: Vec<u8>,
}

impl Key {
    fn new() -> Result<Self, String> {
        let failed = || "no key could be made: the system gives no randomness".to_owned();
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| failed())?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref()).map_err(|_| failed())?;
        Ok(Self { pair, pkcs8: made.as_ref().to_vec() })
    }

    /// `tbs` with its signature: a certificate.
    fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, String> {
        let signature = self.pair.sign(&SystemRandom::new(), tbs);
        let signature = signature.map_err(|_| "a certificate could not be signed".to_owned())?;
        let bits = [&[0][..], signature.as_ref()].concat();
        Ok(value(SEQUENCE, &[tbs.to_vec(), algorithm(), value(BIT_STRING, &[bits])]))
    }

    fn public(&self) -> Vec<u8> {
        let kind = value(SEQUENCE, &[object(EC_PUBLIC_KEY), object(PRIME256V1)]);
        let bits = [&[0][..], self.pair.public_key().as_ref()].concat();
        value(SEQUENCE, &[kind, value(BIT_STRING, &[bits])])
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn new() -> Result<Self, String> {
        let key = Key::new()?;
        // CA:TRUE
        let basic = value(SEQUENCE, &[vec![0x01, 0x01, 0xff]]);
        let extensions = [extension(BASIC_CONSTRAINTS, true, basic)];
        let der = key.sign(&to_be_signed(1, AUTHORITY, &key.public(), &extensions))?;
        Ok(Self { key, der, next: AtomicU64::new(2) })
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// A certificate for these names and addresses.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn issue(&self, names: &[String]) -> Result<Issued, String> {
        let key = Key::new()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let of = |name: &String| match name.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => value(0x87, &[ip.octets().to_vec()]),
            Ok(IpAddr::V6(ip)) => value(0x87, &[ip.octets().to_vec()]),
            Err(_) => value(0x82, &[name.as_bytes().to_vec()]),
        };
        let all: Vec<Vec<u8>> = names.iter().map(of).collect();
        let extensions = [extension(ALTERNATIVE_NAMES, false, value(SEQUENCE, &all))];
        let subject = names.first().map_or("bed", String::as_str);
        let der = self.key.sign(&to_be_signed(number, subject, &key.public(), &extensions))?;
        Ok(Issued { der, key: key.pkcs8 })
    }
}

impl Issued {
    /// Certificate and key in one text, as HAProxy wants them.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der) + &pem("PRIVATE KEY", &self.key)
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {what}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + &format!("-----END {what}-----\n")
}

/// What is signed. Valid as long as two digits of a year can say: the bed is gone in a minute.
fn to_be_signed(number: u64, subject: &str, public: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let time = |text: &str| value(UTC_TIME, &[text.as_bytes().to_vec()]);
    // The byte in front keeps it positive.
    let serial = [&[0x01][..], &number.to_be_bytes()].concat();
    value(
        SEQUENCE,
        &[
            value(0xa0, &[value(INTEGER, &[vec![2]])]),
            value(INTEGER, &[serial]),
            algorithm(),
            name(AUTHORITY),
            value(SEQUENCE, &[time("200101000000Z"), time("491231235959Z")]),
            name(subject),
            public.to_vec(),
            value(0xa3, &[value(SEQUENCE, extensions)]),
        ],
    )
}

fn name(common: &str) -> Vec<u8> {
    let text = value(UTF8, &[common.chars().take(64).collect::<String>().into_bytes()]);
    let pair = value(SEQUENCE, &[object(COMMON_NAME), text]);
    value(SEQUENCE, &[value(SET, &[pair])])
}

fn algorithm() -> Vec<u8> {
    value(SEQUENCE, &[object(ECDSA_WITH_SHA256)])
}

fn object(bytes: &[u8]) -> Vec<u8> {
    value(OBJECT, &[bytes.to_vec()])
}

fn extension(kind: &[u8], critical: bool, content: Vec<u8>) -> Vec<u8> {
    let mut parts = vec![object(kind)];
    if critical {
        parts.push(vec![0x01, 0x01, 0xff]);
    }
    parts.push(value(OCTET_STRING, &[content]));
    value(SEQUENCE, &parts)
}

/// Tag, length and content.
fn value(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ ..128 => out.push(u8::try_from(short).unwrap_or(0)),
        long => {
            let bytes = long.to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
            out.extend_from_slice(bytes);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::*;

    #[test]
    fn others_read_them_and_find_the_signature_right() {
        let authority = Authority::new().unwrap();
        let names = ["shop.test".to_owned(), "127.0.0.1".to_owned()];
        let issued = authority.issue(&names).unwrap();
        let (rest, ca) = X509Certificate::from_der(&authority.der).unwrap();
        assert!(rest.is_empty() && ca.is_ca());
        let (_, leaf) = X509Certificate::from_der(&issued.der).unwrap();
        assert_eq!(leaf.issuer(), ca.subject());
        let found = leaf.subject_alternative_name().unwrap().unwrap();
        assert_eq!(found.value.general_names.len(), 2);
        assert!(leaf.validity().is_valid());
        let roots = {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.der.clone().into()).unwrap();
            roots
        };
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots.into(),
            rustls::crypto::aws_lc_rs::default_provider().into(),
        );
        use rustls::client::danger::ServerCertVerifier;
        let verified = verifier.build().unwrap().verify_server_cert(
            &issued.der.clone().into(),
            &[],
            &"shop.test".try_into().unwrap(),
            &[],
            rustls_pki_types::UnixTime::now(),
        );
        verified.unwrap();
        assert!(issued.pem().contains("BEGIN PRIVATE KEY"));
    }
}
