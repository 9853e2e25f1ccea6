//! Why there is no TLS session: who ended it, why, and in words.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use std::fmt;
use std::io;

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The client.
    Client,
    /// The endpoint.
    Endpoint,
    /// We ourselves.
    Proxy,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Endpoint => "endpoint",
            Self::Proxy => "proxy",
        })
    }
}

/// Why, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// The handshake was not complete at its deadline.
    Deadline,
    /// The connection was closed or reset.
    Closed,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer speaks TLS, wrongly.
    Malformed,
    /// No version, cipher suite, group, signature or application protocol in common.
    Incompatible,
    /// No certificate for the name that the client has asked for.
    UnknownName,
    /// The peer's certificate is missing, or does not convince us.
    Certificate,
    /// The peer has ended the handshake with an alert.
    Alert,
    /// Too many others wait for their turn.
    Busy,
    /// Something else.
    Other,
}

impl Why {
    /// A word for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Malformed => "malformed",
            Self::Incompatible => "incompatible",
            Self::UnknownName => "unknown_name",
            Self::Certificate => "certificate",
            Self::Alert => "alert",
            Self::Busy => "busy",
            Self::Other => "other",
        }
    }
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who is to blame.
    pub who: Who,
    /// Why, for counters.
    pub why: Why,
    /// For people: one line, without control characters.
    pub words: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    pub(super) fn new(who: Who, why: Why, words: impl Into<String>) -> Self {
        Self { who, why, words: words.into() }
    }

    /// What an error of a handshake with `peer` means.
    pub(super) fn of(peer: Who, error: &io::Error) -> Self {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return Self::of_tls(peer, error);
        }
        let words = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("{peer} closed within the TLS handshake"),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                format!("{peer} reset within the TLS handshake")
            }
            _ => return Self::new(peer, Why::Other, format!("TLS handshake: {error}")),
        };
        Self::new(peer, Why::Closed, words)
    }

    /// What an error of rustls about `peer` means.
    pub(super) fn of_tls(peer: Who, error: &Error) -> Self {
        let (why, words) = match error {
            Error::AlertReceived(alert) => {
                (Why::Alert, format!("{peer} ended the TLS handshake: {}", alert_words(*alert)))
            }
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
                (Why::NotTls, format!("{peer} does not speak TLS"))
            }
            Error::InvalidMessage(what) => {
                (Why::Malformed, format!("{peer} sent a malformed TLS message ({what:?})"))
            }
            Error::PeerIncompatible(what) => {
                (Why::Incompatible, format!("nothing in common with the {peer}: {}", common(what)))
            }
            Error::NoApplicationProtocol => (
                Why::Incompatible,
                format!("nothing in common with the {peer}: no application protocol (ALPN)"),
            ),
            Error::NoCertificatesPresented => {
                (Why::Certificate, format!("{peer} showed no certificate"))
            }
            Error::InvalidCertificate(what) => {
                (Why::Certificate, format!("certificate of the {peer}: {}", certificate(what)))
            }
            Error::PeerMisbehaved(what) => {
                (Why::Malformed, format!("{peer} breaks the rules of TLS ({what:?})"))
            }
            Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
                (Why::Malformed, format!("{peer} sent a TLS message out of turn"))
            }
            Error::DecryptError | Error::PeerSentOversizedRecord => {
                (Why::Malformed, format!("{peer} sent a TLS record that cannot be decrypted"))
            }
            other => {
                let who = if matches!(other, Error::General(_)) { Who::Proxy } else { peer };
                return Self::new(who, Why::Other, format!("TLS handshake: {other}"));
            }
        };
        Self::new(peer, why, words)
    }
}

fn common(what: &PeerIncompatible) -> String {
    let text = match what {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        // A hello of before TLS 1.2 does not have it.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => "no TLS version",
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite",
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
            "no group for the key exchange"
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature for the certificate's type of key"
        }
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

fn certificate(what: &CertificateError) -> String {
    let text = match what {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet"
        }
        CertificateError::UnknownIssuer => "it is signed by no CA that is believed here",
        CertificateError::Revoked => "it is revoked",
        CertificateError::NotValidForName => "it does not hold for the name",
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            let shown = presented.iter().take(3).map(|name| name.escape_debug().to_string());
            let shown: Vec<_> = shown.collect();
            return format!("it does not hold for {expected}, but for {}", shown.join(", "));
        }
        CertificateError::BadSignature => "its signature is wrong",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it may not be used for this (extended key usage)"
        }
        CertificateError::BadEncoding => "it is malformed",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

/// The alerts of RFC 8446, section 6, as far as they say something.
fn alert_words(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::UnknownCA => "it knows no CA of the certificate",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not take the certificate"
        }
        AlertDescription::CertificateExpired => "it says that the certificate has expired",
        AlertDescription::CertificateRevoked => "it says that the certificate is revoked",
        AlertDescription::UnsupportedCertificate => "it cannot use the type of certificate",
        AlertDescription::CertificateRequired => "it wants a certificate",
        AlertDescription::AccessDenied => "it denies access",
        AlertDescription::HandshakeFailure => "it finds nothing in common",
        AlertDescription::InsufficientSecurity => "it wants stronger cryptography",
        AlertDescription::ProtocolVersion => "it wants another TLS version",
        AlertDescription::NoApplicationProtocol => "it wants another application protocol",
        AlertDescription::UnrecognisedName => "it does not know the server name",
        AlertDescription::UserCanceled | AlertDescription::CloseNotify => "it was cancelled",
        other => return format!("alert {other:?}"),
    };
    format!("{text} (alert {alert:?})")
}
