//! What a client is cut for, and how much of it is too much: one table.

/// Times at once, and times a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) per_second: u32,
}

/// Writes the type, its words, its texts and its limits from one list.
macro_rules! floods {
    ($($(#[$why:meta])* $name:ident, $word:literal, $burst:literal, $rate:literal, $text:literal;)*) => {
        /// Why a connection is cut. Each has a word that stays, for metrics and the log, and a bucket:
        /// so many at once, and so many a second in the long run, without what is earned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Flood {
            $(#[doc = $text] #[doc = ""] $(#[$why])* $name,)*
        }

        impl Flood {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The buckets, in the order of [`Self::ALL`].
            pub(super) const RATES: [Rate; Self::ALL.len()] =
                [$(Rate { burst: $burst, per_second: $rate },)*];

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

floods! {
    /// A browser that leaves a page resets all its streams, a hundred, and again on the next page. Half a
    /// token comes back with the head of an answer, half with its end: who resets what was answered pays
    /// nothing.
    RapidReset, "rapid_reset", 200, 50, "streams reset by the client before they were answered";
    /// Frames that make *us* reset: on streams that are half-closed or closed, windows of nothing or
    /// overflown, streams that depend on themselves, requests that are none. A program with a mistake
    /// makes a few; nobody makes them without one. A tenth comes back with each answer: a proxy carries the
    /// mistakes of many.
    MadeReset, "made_reset", 100, 10, "streams that the client's mistakes made us reset";
    /// Streams that we end give two back: those of a client whose requests are answered are not counted.
    /// Ten times what may be open at once, for those who have not read our settings yet.
    Streams, "streams", 1000, 100, "streams opened that were not answered";
    /// Beside the bucket, which counts pieces of less than 1 KiB that do not end their block, a block may
    /// have 32. Heads of 32 KiB in frames of 16 KiB have one.
    Continuation, "continuation", 64, 10, "header blocks in many small pieces";
    /// Over the limit of a block at once. The limit of the list, which is less, is told in settings and
    /// answered with 431 before; this is what a bomb of HPACK or an endless block meets.
    HeaderBlock, "header_block", 0, 0, "a header block far over the limit of a head";
    /// One at the start; gRPC sends one whenever it finds its line faster. Each six settings in one frame
    /// cost as a frame.
    Settings, "settings", 100, 10, "settings changed again and again";
    /// As many as settings of ours are free.
    SettingsAck, "settings_ack", 8, 1, "settings acknowledged that nobody had sent";
    /// gRPC sends one with each burst of data that it gets, to measure its line: each frame of an answer
    /// gives one back. Keepalives come every few seconds.
    Ping, "ping", 100, 10, "pings";
    /// Firefox and nghttp build a tree of five streams first, and place each request in it: each HEADERS
    /// gives two back.
    Priority, "priority", 200, 20, "priorities changed again and again";
    /// Careful clients send two for each DATA they get, so each DATA gives two back, and each KiB of it one.
    /// An increment of less than 5 bytes, which is less than the smallest message of gRPC, costs three.
    WindowUpdate, "window_update", 2000, 200, "windows opened in tiny steps, or again and again";
    /// Empty DATA that does not end its stream says nothing.
    DataEmpty, "data_empty", 50, 5, "empty DATA that ends nothing";
    /// The same, dressed up.
    DataPadded, "data_padded", 50, 5, "DATA of padding alone";
    /// Chromium sends frames of made-up types on purpose, one with each request: each HEADERS gives two back.
    Unknown, "unknown", 100, 10, "frames of unknown types";
    /// One is said before leaving, or two.
    GoAway, "goaway", 10, 1, "GOAWAY again and again";
    /// At once: nobody sends what our settings have not allowed.
    FrameSize, "frame_size", 0, 0, "a frame longer than our settings allow";
    /// No flood, but no beginning either (RFC 9113, section 3.4), which the library above does not mind.
    NoSettings, "no_settings", 0, 0, "a first frame that is not the client's SETTINGS";
    /// What the library under us has ended with `ENHANCE_YOUR_CALM` by limits of its own.
    Library, "library", 0, 0, "a limit of the HTTP/2 library";
}

impl Flood {
    /// The error code of the GOAWAY that says so (RFC 9113, section 7): `ENHANCE_YOUR_CALM`, unless the
    /// standard demands another.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            // Section 4.2.
            Self::FrameSize => 0x6,
            // Section 3.4.
            Self::NoSettings => 0x1,
            _ => 0xb,
        }
    }

    /// How many at once, and how many a second in the long run, without what is earned; 0 and 0: the first
    /// one is too much.
    #[must_use]
    pub const fn most(self) -> (u32, u32) {
        let Rate { burst, per_second } = Self::RATES[self as usize];
        (burst, per_second)
    }

    /// The GOAWAY frame that says so, and which stream was the last that was looked at.
    pub(super) fn goaway(self, last: u32) -> [u8; 17] {
        let mut frame = [0; 17];
        frame[2] = 8;
        frame[3] = 7;
        frame[9..13].copy_from_slice(&last.to_be_bytes());
        frame[13..].copy_from_slice(&self.code().to_be_bytes());
        frame
    }
}

impl std::fmt::Display for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Flood {}

/// A token, in the units that buckets count.
pub(super) const TOKEN: u32 = 1000;

/// A bucket for each flood.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// Thousandths of tokens.
    levels: [u32; Flood::ALL.len()],
    /// When they were refilled last, in milliseconds.
    at: u64,
}

impl Buckets {
    /// All full.
    pub(super) fn new(now: u64) -> Self {
        Self { levels: Flood::RATES.map(|rate| rate.burst * TOKEN), at: now }
    }

    /// What time gives back.
    pub(super) fn refill(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at);
        if passed == 0 {
            return;
        }
        self.at = now;
        // A token a second is a thousandth in a millisecond.
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        for (level, rate) in self.levels.iter_mut().zip(Flood::RATES) {
            let gained = passed.saturating_mul(rate.per_second);
            *level = level.saturating_add(gained).min(rate.burst * TOKEN);
        }
    }

    /// Takes so much of a token, or says that there is not so much left.
    pub(super) fn take(&mut self, flood: Flood, cost: u32) -> Result<(), Flood> {
        let level = &mut self.levels[flood as usize];
        *level = level.checked_sub(cost).ok_or(flood)?;
        Ok(())
    }

    /// Gives so much of a token back.
    pub(super) fn give(&mut self, flood: Flood, credit: u32) {
        let index = flood as usize;
        let full = Flood::RATES[index].burst * TOKEN;
        self.levels[index] = self.levels[index].saturating_add(credit).min(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_their_own_and_places_are_those_of_the_list() {
        let words: HashSet<_> = Flood::ALL.iter().map(|flood| flood.word()).collect();
        assert_eq!(words.len(), Flood::ALL.len());
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(words.iter().all(|word| word.bytes().all(fits)), "{words:?}");
        assert!(Flood::ALL.iter().enumerate().all(|(index, flood)| *flood as usize == index));
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate_and_no_more_than_that_after_any_rest() {
        let mut buckets = Buckets::new(5_000);
        let taken = |buckets: &mut Buckets| {
            (0..1_000).take_while(|_| buckets.take(Flood::Ping, TOKEN).is_ok()).count()
        };
        assert_eq!(taken(&mut buckets), 100);
        buckets.refill(5_099);
        assert_eq!(taken(&mut buckets), 0);
        buckets.refill(5_100);
        assert_eq!(taken(&mut buckets), 1);
        buckets.refill(4_000);
        assert_eq!(taken(&mut buckets), 0, "a clock that went back gives nothing");
        buckets.refill(u64::MAX);
        assert_eq!(taken(&mut buckets), 100);
        buckets.give(Flood::Ping, u32::MAX);
        assert_eq!(taken(&mut buckets), 100);
    }

    #[test]
    fn goaway_is_a_frame_that_says_why() {
        let frame = Flood::RapidReset.goaway(0x105);
        assert_eq!(frame, [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0xb]);
        assert_eq!(Flood::FrameSize.goaway(1)[13..], [0, 0, 0, 6]);
    }
}
