//! Why a message is refused. Each reason has a word that stays, for metrics and the log.

/// Writes the type, its words and its texts from one list.
macro_rules! reasons {
    ($($name:ident, $word:literal, $text:literal;)*) => {
        /// Why a message is refused. The connection that it came on is at an unknown place in the
        /// stream: it ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// All of them, in the order in which a message is read.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for metrics and the log; it does not change between versions.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// A sentence for the log.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    // The request line.
    TlsHello, "tls_hello", "TLS on a port that speaks plain HTTP";
    EmptyLines, "empty_lines", "more than one empty line before the request";
    MethodMalformed, "method_malformed", "the method is no token";
    MethodTooLong, "method_too_long", "the method is too long";
    MethodCase, "method_case", "a standard method in small letters, which some read as that method";
    RequestLine, "request_line", "the request line is not method, target and version, one space apart";
    TargetForm, "target_form", "the target has no form that its method can have";
    TargetByte, "target_byte", "the target holds a byte that has to be percent-encoded";
    TargetFragment, "target_fragment", "the target has a fragment";
    TargetNonAscii, "target_non_ascii", "the target holds bytes above ASCII";
    TargetPercent, "target_percent", "a percent sign in the target without two hexadecimal digits";
    TargetScheme, "target_scheme", "the target's scheme is neither http nor https";
    TargetUserinfo, "target_userinfo", "the target names a user before the host";
    TargetAuthority, "target_authority", "the target's host or port is malformed";
    VersionMalformed, "version_malformed", "the version is not HTTP/ and two digits";
    VersionUnsupported, "version_unsupported", "a version that is neither HTTP/1.0 nor HTTP/1.1";
    Http2Preface, "http2_preface", "the HTTP/2 preface where HTTP/1 is spoken";
    StartLineTooLong, "start_line_too_long", "the first line is longer than the limit";
    // The status line.
    StatusLine, "status_line", "the status line is not version, three digits and a phrase, one space apart";
    StatusRange, "status_range", "the status is not 100 to 599";
    // Lines of fields.
    BareCr, "bare_cr", "a CR without LF";
    BareLf, "bare_lf", "an LF without CR";
    Nul, "nul", "a NUL";
    Control, "control", "a control character";
    ObsFold, "obs_fold", "a line that begins with a blank (obs-fold)";
    SpaceBeforeColon, "space_before_colon", "a blank in a field name or before its colon";
    ValueBlank, "value_blank", "a field value with blanks around it in HTTP/2";
    EmptyName, "empty_name", "a field without a name";
    NoColon, "no_colon", "a field without a colon";
    NameByte, "name_byte", "a byte in a field name that no token holds";
    NameTooLong, "name_too_long", "a field name is too long";
    NameLookAlike, "name_look_alike", "a field name that gateways mistake for a framing field";
    TooManyFields, "too_many_fields", "more fields than the limit";
    HeadTooLarge, "head_too_large", "the head is larger than the limit";
    // Host.
    HostMissing, "host_missing", "an HTTP/1.1 request without Host";
    HostDoubled, "host_doubled", "more than one Host";
    HostMalformed, "host_malformed", "Host is no host with an optional port";
    HostMismatch, "host_mismatch", "Host differs from the host in the target";
    // Framing.
    LengthMalformed, "length_malformed", "Content-Length is not one decimal number";
    LengthTooLarge, "length_too_large", "Content-Length is 2^63 or more";
    LengthDoubled, "length_doubled", "Content-Length more than once";
    LengthDiffers, "length_differs", "Content-Length more than once, with different values";
    LengthWithCoding, "length_with_coding", "both Content-Length and Transfer-Encoding";
    CodingMalformed, "coding_malformed", "Transfer-Encoding is no list of codings";
    CodingUnknown, "coding_unknown", "a transfer coding other than chunked";
    CodingDoubled, "coding_doubled", "chunked more than once";
    ChunkedNotLast, "chunked_not_last", "chunked is not the last transfer coding";
    CodingInHttp10, "coding_in_http10", "Transfer-Encoding in an HTTP/1.0 message";
    UnexpectedBody, "unexpected_body", "a body where none can be";
    // Connection and what goes with it.
    ConnectionMalformed, "connection_malformed", "Connection is no list of tokens";
    ConnectionTooMany, "connection_too_many", "Connection names too many fields";
    ConnectionField, "connection_field", "a field of HTTP/1 connections in an HTTP/2 message";
    ExpectUnknown, "expect_unknown", "an expectation other than 100-continue";
    UpgradeMalformed, "upgrade_malformed", "Upgrade is no list of protocols";
    UpgradeUnasked, "upgrade_unasked", "a 101 that nobody asked for";
    // Chunks and trailers.
    ChunkSize, "chunk_size", "a chunk size is not hexadecimal digits and CR LF";
    ChunkTooLarge, "chunk_too_large", "a chunk size of 2^63 or more, or of over 16 digits";
    ChunkExtension, "chunk_extension", "a malformed chunk extension";
    ChunkExtensionTooLong, "chunk_extension_too_long", "more chunk extensions than the limit";
    ChunkEnd, "chunk_end", "no CR LF after a chunk's data";
    TrailerForbidden, "trailer_forbidden", "a field that must not be in a trailer";
    TrailersTooLarge, "trailers_too_large", "the trailers are larger than the limit";
}

impl Reason {
    /// The status of the answer to a client whose request is refused.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::StartLineTooLong => 414,
            Self::HeadTooLarge | Self::TooManyFields | Self::NameTooLong => 431,
            Self::LengthTooLarge | Self::ChunkTooLarge => 413,
            Self::ExpectUnknown => 417,
            Self::VersionUnsupported | Self::Http2Preface => 505,
            _ => 400,
        }
    }

    /// The reason for a control character where text is expected.
    pub(super) const fn of_control(byte: u8) -> Self {
        match byte {
            0 => Self::Nul,
            b'\r' => Self::BareCr,
            b'\n' => Self::BareLf,
            _ => Self::Control,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Reason {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_their_own() {
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(words.iter().all(|word| word.bytes().all(fits)), "{words:?}");
    }
}
