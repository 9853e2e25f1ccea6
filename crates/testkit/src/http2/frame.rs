//! Frames (RFC 9113, section 4.1) as bytes.

/// What a client's side of a connection begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames (RFC 9113, section 6).
#[allow(missing_docs, reason = "they are called as in the standard")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flags of frames (RFC 9113, section 6).
#[allow(missing_docs, reason = "they are called as in the standard")]
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// The settings (RFC 9113, section 6.5.2; RFC 8441, section 3).
#[allow(missing_docs, reason = "they are called as in the standard")]
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The error codes in their order (RFC 9113, section 7).
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// The error code of this name; `None`: the standard has none.
#[must_use]
pub fn code_named(name: &str) -> Option<u32> {
    CODES.iter().position(|code| *code == name).and_then(|code| u32::try_from(code).ok())
}

/// The name of an error code; of an unknown one, the number.
#[must_use]
pub fn name_of_code(code: u32) -> String {
    let name = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    name.map_or_else(|| format!("code {code}"), |name| (*name).to_owned())
}

/// A frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`], or anything.
    pub kind: u8,
    /// Of [`flag`].
    pub flags: u8,
    /// With the reserved bit, if it is set.
    pub stream: u32,
    /// What follows the nine bytes of its head.
    pub payload: Vec<u8>,
    /// What it says its length is, where that is a lie.
    pub length: Option<u32>,
}

impl Frame {
    /// A frame that says its true length.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into(), length: None }
    }

    /// SETTINGS with these values.
    #[must_use]
    pub fn settings(values: &[(u16, u32)]) -> Self {
        let bytes =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Self::new(kind::SETTINGS, 0, 0, values.iter().flat_map(bytes).collect::<Vec<_>>())
    }

    /// WINDOW_UPDATE.
    #[must_use]
    pub fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    /// Puts zeros behind the payload, and their number before it (RFC 9113, section 6.1).
    #[must_use]
    pub fn padded(mut self, padding: u8) -> Self {
        self.flags |= flag::PADDED;
        self.payload.insert(0, padding);
        self.payload.extend(vec![0; usize::from(padding)]);
        self
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.length.unwrap_or(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Takes the first frame out of `bytes`; `None`: it is not there yet.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let head: [u8; 9] = bytes.get(..9)?.try_into().ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if bytes.len() < 9 + length {
            return None;
        }
        let payload = bytes.drain(..9 + length).skip(9).collect::<Vec<_>>();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Self::new(head[3], head[4], stream, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back() {
        let frame = Frame::new(kind::DATA, flag::END_STREAM, 7, *b"hello");
        assert_eq!(frame.bytes(), b"\0\0\x05\0\x01\0\0\0\x07hello");
        let mut bytes = [frame.bytes(), b"\0\0\x01".to_vec()].concat();
        assert_eq!(Frame::take(&mut bytes), Some(frame));
        assert_eq!(Frame::take(&mut bytes), None, "not all of it is there");
        assert_eq!(bytes.len(), 3);
    }

    #[test]
    fn padding_stands_on_both_sides() {
        let padded = Frame::new(kind::DATA, 0, 1, *b"x").padded(2);
        assert_eq!((padded.flags, &padded.payload[..]), (flag::PADDED, &b"\x02x\0\0"[..]));
    }

    #[test]
    fn codes_have_their_names() {
        assert_eq!(code_named("COMPRESSION_ERROR"), Some(9));
        assert_eq!(name_of_code(13), "HTTP_1_1_REQUIRED");
        assert_eq!(name_of_code(14), "code 14");
    }
}
