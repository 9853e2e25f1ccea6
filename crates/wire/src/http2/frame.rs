//! Frames in a stream of bytes (RFC 9113, section 4.1): their heads, and the few bytes of their
//! payloads that tell what they cost.

/// Bytes of a frame's head.
const HEAD: usize = 9;
/// The most bytes of a payload that are looked at.
const PEEKED: usize = 8;

/// `END_STREAM` of DATA and HEADERS; `ACK` of SETTINGS and PING has the same bit.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

/// Types of frames (RFC 9113, section 6; RFC 9218, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DATA
    Data,
    /// HEADERS
    Headers,
    /// PRIORITY
    Priority,
    /// `RST_STREAM`
    Reset,
    /// SETTINGS
    Settings,
    /// `PUSH_PROMISE`
    PushPromise,
    /// PING
    Ping,
    /// GOAWAY
    GoAway,
    /// `WINDOW_UPDATE`
    WindowUpdate,
    /// CONTINUATION
    Continuation,
    /// `PRIORITY_UPDATE`
    PriorityUpdate,
    /// Any other; whoever does not know it passes over it (section 5.5).
    Unknown,
}

impl From<u8> for Kind {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            0x10 => Self::PriorityUpdate,
            _ => Self::Unknown,
        }
    }
}

/// What is known of a frame before its payload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: Kind,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// Bytes of its payload.
    pub length: u32,
    /// The payload's first bytes, where they tell something.
    peek: [u8; PEEKED],
    peeked: u8,
}

impl Frame {
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The error code of `RST_STREAM` and GOAWAY (sections 6.4 and 6.8).
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self.kind {
            Kind::Reset => self.number(0),
            Kind::GoAway => self.number(4),
            _ => None,
        }
    }

    /// The last stream that GOAWAY names.
    pub(super) fn last_stream(&self) -> Option<u32> {
        self.number(0).map(|number| number & 0x7fff_ffff)
    }

    /// What WINDOW_UPDATE adds (section 6.9).
    pub(super) fn increment(&self) -> Option<u32> {
        self.number(0).map(|number| number & 0x7fff_ffff)
    }

    /// The stream that a stream is made to depend on, by PRIORITY or HEADERS (section 5.3.1 of RFC 7540).
    pub(super) fn depends_on(&self) -> Option<u32> {
        let at = match self.kind {
            Kind::Priority => 0,
            Kind::Headers if self.has(WITH_PRIORITY) => usize::from(self.has(PADDED)),
            _ => return None,
        };
        self.number(at).map(|number| number & 0x7fff_ffff)
    }

    /// Bytes of data in DATA, without its padding (section 6.1).
    pub(super) fn data(&self) -> u32 {
        if !self.has(PADDED) {
            return self.length;
        }
        let padding = self.peek.first().filter(|_| self.peeked > 0).map_or(0, |it| u32::from(*it));
        self.length.saturating_sub(1 + padding)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let seen = self.peek.get(..usize::from(self.peeked))?;
        let bytes = seen.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// How many bytes of a payload tell something.
fn telling(kind: Kind, flags: u8) -> u32 {
    match kind {
        Kind::Data if flags & PADDED != 0 => 1,
        Kind::Headers if flags & WITH_PRIORITY != 0 => 4 + u32::from(flags & PADDED != 0),
        Kind::Priority | Kind::Reset | Kind::WindowUpdate => 4,
        Kind::GoAway => 8,
        _ => 0,
    }
}

/// Follows the frames in bytes that come in any pieces. Payloads are passed over, not kept.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// The head, then the payload's first bytes.
    seen: [u8; HEAD + PEEKED],
    have: u8,
    /// Bytes of the payload that are passed over before the next frame begins.
    left: u32,
}

impl Frames {
    /// Whether a frame ends here, and none has begun.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Goes on at `bytes`, to their end or to where the next frame is known. Says how many were used.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Option<Frame>) {
        let mut used = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= u32::try_from(used).unwrap_or(self.left);
        if self.left > 0 {
            return (used, None);
        }
        used += self.fill(bytes.get(used..).unwrap_or_default(), HEAD);
        if usize::from(self.have) < HEAD {
            return (used, None);
        }
        let mut frame = self.head();
        let peeked = telling(frame.kind, frame.flags).min(frame.length);
        let wanted = HEAD + usize::try_from(peeked).unwrap_or(0);
        used += self.fill(bytes.get(used..).unwrap_or_default(), wanted);
        if usize::from(self.have) < wanted {
            return (used, None);
        }
        frame.peek.copy_from_slice(&self.seen[HEAD..]);
        frame.peeked = u8::try_from(peeked).unwrap_or(0);
        self.have = 0;
        self.left = frame.length - peeked;
        (used, Some(frame))
    }

    /// Takes bytes until there are `wanted`; says how many.
    fn fill(&mut self, bytes: &[u8], wanted: usize) -> usize {
        let have = usize::from(self.have);
        let count = wanted.saturating_sub(have).min(bytes.len());
        self.seen[have..have + count].copy_from_slice(&bytes[..count]);
        self.have += u8::try_from(count).unwrap_or(0);
        count
    }

    fn head(&self) -> Frame {
        let [a, b, c, kind, flags, d, e, f, g, ..] = self.seen;
        Frame {
            kind: kind.into(),
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff,
            length: u32::from_be_bytes([0, a, b, c]),
            peek: [0; PEEKED],
            peeked: 0,
        }
    }
}
