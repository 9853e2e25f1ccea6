//! What gRPC puts into HTTP/2: messages with a prefix of five bytes, a deadline in `grpc-timeout`, an
//! outcome in `grpc-status` and `grpc-message` (gRPC over HTTP2, in gRPC's documentation).

use std::time::Duration;

/// Bytes before each message: whether it is compressed, then its length.
pub const PREFIX: usize = 5;

/// Why a body is none of gRPC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first byte of a message is neither 0 nor 1.
    Flag,
    /// A message is longer than the limit.
    TooLong,
}

/// Follows the messages of a body that comes in any pieces. They are passed over, not kept.
#[derive(Clone, Debug)]
pub struct Messages {
    most: u32,
    prefix: [u8; PREFIX],
    have: u8,
    left: u32,
    whole: u64,
    fault: Option<Fault>,
}

impl Messages {
    /// At the body's first byte. `most`: bytes of the longest message, without its prefix.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self { most, prefix: [0; PREFIX], have: 0, left: 0, whole: 0, fault: None }
    }

    /// Messages that are complete.
    #[must_use]
    pub const fn whole(&self) -> u64 {
        self.whole
    }

    /// Whether a message ends here, and none has begun: a body that ends elsewhere is cut short.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Goes on at `bytes`, to their end.
    ///
    /// # Errors
    /// [`Fault`], and from then on always the same.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        while !bytes.is_empty() {
            let used = self.step(bytes).inspect_err(|fault| self.fault = Some(*fault))?;
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes some bytes; says how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let have = usize::from(self.have);
        if have < PREFIX {
            let count = (PREFIX - have).min(bytes.len());
            self.prefix[have..have + count].copy_from_slice(&bytes[..count]);
            self.have += u8::try_from(count).unwrap_or(0);
            let [flag, a, b, c, d] = self.prefix;
            if flag > 1 {
                return Err(Fault::Flag);
            }
            if have + count == PREFIX {
                self.left = u32::from_be_bytes([a, b, c, d]);
                if self.left > self.most {
                    return Err(Fault::TooLong);
                }
                self.end_if_whole();
            }
            return Ok(count);
        }
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= u32::try_from(count).unwrap_or(self.left);
        self.end_if_whole();
        Ok(count)
    }

    fn end_if_whole(&mut self) {
        if self.left == 0 {
            self.have = 0;
            self.whole += 1;
        }
    }
}

/// The prefix of a message of `length` bytes.
#[must_use]
pub fn prefix(compressed: bool, length: u32) -> [u8; PREFIX] {
    let [a, b, c, d] = length.to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}

/// Whether a value of `Content-Type` is gRPC's: `application/grpc`, with or without the name of an encoding.
/// What is for browsers (`application/grpc-web`) is another protocol.
#[must_use]
pub fn is_media(media: &[u8]) -> bool {
    let name = b"application/grpc";
    media.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        && matches!(media.get(name.len()), None | Some(b'+' | b';' | b' '))
}

/// The most digits of a timeout.
const DIGITS: usize = 8;
/// The least number that has more.
const TOO_LONG: u128 = 100_000_000;

/// What `grpc-timeout` says: one to eight digits and a unit, nothing else.
#[must_use]
pub fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// A `grpc-timeout` for this time, in the finest unit that has room for it, rounded up; at least a
/// nanosecond, as there is no timeout of nothing.
#[must_use]
pub fn write_timeout(time: Duration) -> String {
    const UNITS: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    let nanoseconds = time.as_nanos().max(1);
    let mut fitting = UNITS.iter().map(|(size, unit)| (nanoseconds.div_ceil(*size), unit));
    let (number, unit) =
        fitting.find(|(number, _)| *number < TOO_LONG).unwrap_or((TOO_LONG - 1, &'H'));
    format!("{number}{unit}")
}

/// Writes the type and its names from one list.
macro_rules! statuses {
    ($($name:ident = $code:literal, $word:literal;)*) => {
        /// How a call ended (Status codes and their use in gRPC).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Status {
            $(#[doc = $word] $name = $code,)*
        }

        impl Status {
            /// All of them, each at the place of its number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

statuses! {
    Ok = 0, "OK";
    Cancelled = 1, "CANCELLED";
    Unknown = 2, "UNKNOWN";
    InvalidArgument = 3, "INVALID_ARGUMENT";
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED";
    NotFound = 5, "NOT_FOUND";
    AlreadyExists = 6, "ALREADY_EXISTS";
    PermissionDenied = 7, "PERMISSION_DENIED";
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED";
    FailedPrecondition = 9, "FAILED_PRECONDITION";
    Aborted = 10, "ABORTED";
    OutOfRange = 11, "OUT_OF_RANGE";
    Unimplemented = 12, "UNIMPLEMENTED";
    Internal = 13, "INTERNAL";
    Unavailable = 14, "UNAVAILABLE";
    DataLoss = 15, "DATA_LOSS";
    Unauthenticated = 16, "UNAUTHENTICATED";
}

impl Status {
    /// The number for `grpc-status`.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What `grpc-status` says: a decimal number without leading zeros, of a status that there is.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let number = match value {
            [digit @ b'0'..=b'9'] => digit - b'0',
            [b'1', digit @ b'0'..=b'9'] => 10 + digit - b'0',
            _ => return None,
        };
        Self::ALL.get(usize::from(number)).copied()
    }

    /// What a client takes an HTTP status for that comes without a `grpc-status` (HTTP to gRPC status
    /// code mapping).
    #[must_use]
    pub const fn of_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What an answer of the proxy's own is for gRPC: as [`Self::of_http`], but we know more than a client
    /// that only sees the number. 504 is a deadline of ours that was exceeded, 413 and 431 are limits.
    #[must_use]
    pub const fn of_answer(status: u16) -> Self {
        match status {
            408 | 504 => Self::DeadlineExceeded,
            413 | 431 => Self::ResourceExhausted,
            500 => Self::Internal,
            other => Self::of_http(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_strict() {
        let right = [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("10S", 10_000_000_000),
            ("100m", 100_000_000),
            ("0m", 0),
            ("007u", 7_000),
            ("99999999n", 99_999_999),
        ];
        for (text, nanoseconds) in right {
            assert_eq!(timeout(text.as_bytes()), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
        assert_eq!(timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        let wrong =
            ["", "S", "1", "1s", "1h", "-1S", "+1S", "1.5S", " 1S", "1S ", "1 S", "100000000n"];
        for text in wrong {
            assert_eq!(timeout(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn timeouts_are_written_as_they_are_read() {
        for (time, text) in [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(20), "20000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(86_400), "86400000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(write_timeout(time), text);
            let read = timeout(text.as_bytes()).unwrap();
            assert!(read >= time.min(Duration::from_secs(99_999_999 * 3_600)), "{text}");
        }
    }

    #[test]
    fn what_is_grpc_is_told_by_its_media_type() {
        for (media, is_it) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_media(media.as_bytes()), is_it, "{media}");
        }
    }

    #[test]
    fn messages_are_counted_and_bounded() {
        let mut messages = Messages::new(10);
        assert!(messages.is_between());
        messages.read(&prefix(true, 0)).unwrap();
        assert_eq!((messages.whole(), messages.is_between()), (1, true), "an empty one is whole");
        messages.read(&[0, 0, 0, 0, 10, 1, 2, 3]).unwrap();
        assert_eq!((messages.whole(), messages.is_between()), (1, false));
        messages.read(&[0; 7]).unwrap();
        assert_eq!((messages.whole(), messages.is_between()), (2, true));
        assert_eq!(messages.read(&prefix(false, 11)), Err(Fault::TooLong));
        assert_eq!(messages.read(&[]), Err(Fault::TooLong), "once and for all");
        assert_eq!(Messages::new(10).read(&[2]), Err(Fault::Flag));
        assert_eq!(Messages::new(u32::MAX).read(&[1, 0xff, 0xff, 0xff, 0xff]), Ok(()));
    }

    #[test]
    fn statuses_are_at_their_numbers() {
        for (number, status) in Status::ALL.iter().enumerate() {
            assert_eq!(usize::from(status.code()), number);
            assert_eq!(Status::read(number.to_string().as_bytes()), Some(*status));
        }
        for wrong in ["", "17", "00", "01", "-1", "1 ", "OK", "100"] {
            assert_eq!(Status::read(wrong.as_bytes()), None, "{wrong:?}");
        }
        let mapped = [400, 401, 403, 404, 429, 502, 503, 504, 200, 500, 418];
        let mapped = mapped.map(|status| Status::of_http(status).code());
        assert_eq!(mapped, [13, 16, 7, 12, 14, 14, 14, 14, 2, 2, 2], "gRPC's own table");
        let ours = [408, 413, 431, 500, 502, 503, 504];
        let ours = ours.map(|status| Status::of_answer(status).code());
        assert_eq!(ours, [4, 8, 8, 13, 14, 14, 4]);
    }
}
