//! Counts what a client sends, beside what it lets us do.

use super::PREFACE;
use super::flood::{Buckets, Flood, TOKEN};
use super::frame::{ACK, END_HEADERS, END_STREAM, Frame, Frames, Kind};

/// The most CONTINUATION frames of one header block.
const CONTINUATIONS: u16 = 32;
/// A CONTINUATION that does not end its block and is shorter than this is a small one.
const SMALL_PIECE: u32 = 1 << 10;
/// Bytes of settings in one frame that cost as a frame: six settings.
const SETTINGS: u32 = 36;
/// A window that is opened by less is opened in tiny steps: gRPC's smallest message has as many bytes.
const TINY_STEP: u32 = 5;
/// What HEADERS weigh in a turn's budget: an exchange begins, where other frames change a number.
const HEADERS_WEIGH: u32 = 8;

/// The limits of single frames and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    frame: u32,
    block: u32,
}

impl Default for Limits {
    /// Frames of 16 KiB, the least that every client may send (RFC 9113, section 4.2), header blocks of
    /// 64 KiB.
    fn default() -> Self {
        Self::new(16 << 10, 64 << 10)
    }
}

impl Limits {
    /// The longest payload that our settings allow, and the longest header block, as it comes, compressed:
    /// well above the limit of a head, so that one that is a little too long is answered.
    #[must_use]
    pub const fn new(frame: u32, block: u32) -> Self {
        Self { frame, block }
    }
}

/// The header block at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    bytes: u32,
    pieces: u16,
}

/// Stands under an HTTP/2 connection, on the server's side: is told of all that goes in and out, and says
/// when the client is to be cut. It keeps no bytes and has no memory but its own 200 bytes.
#[derive(Clone, Debug)]
pub struct Counter {
    limits: Limits,
    /// Bytes of the preface that came so far.
    preface: u8,
    theirs: Frames,
    ours: Frames,
    block: Block,
    buckets: Buckets,
    /// SETTINGS and PING of ours that may be acknowledged.
    unacknowledged: [u16; 2],
    /// The last stream that the client has opened.
    last: u32,
    /// The last one that a GOAWAY of ours has named.
    named: Option<u32>,
    over: Option<Flood>,
    /// The client's first frame has come.
    has_begun: bool,
}

impl Counter {
    /// At the first byte of a connection, its preface. `now` is in milliseconds, from any moment on.
    #[must_use]
    pub fn new(limits: Limits, now: u64) -> Self {
        Self {
            limits,
            preface: 0,
            theirs: Frames::default(),
            ours: Frames::default(),
            block: Block::default(),
            buckets: Buckets::new(now),
            unacknowledged: [0; 2],
            last: 0,
            named: None,
            over: None,
            has_begun: false,
        }
    }

    /// What the client was found at, once.
    #[must_use]
    pub const fn over(&self) -> Option<Flood> {
        self.over
    }

    /// The frame that says goodbye to a client that is cut (RFC 9113, section 6.8). `None`: there is
    /// nothing to say, or it cannot be said, because a frame of ours is half sent.
    #[must_use]
    pub fn goaway(&self) -> Option<[u8; 17]> {
        let flood = self.over.filter(|_| self.ours.is_between())?;
        // A later GOAWAY must not name a later stream.
        Some(flood.goaway(self.named.map_or(self.last, |named| named.min(self.last))))
    }

    /// The client has sent `bytes`. `budget` is what a turn may hold: it falls by one for each frame, by
    /// eight for HEADERS, and no frame begins once it is 0. Says how many bytes may be handed on; those
    /// behind them are for another turn.
    ///
    /// # Errors
    /// The client is to be cut: from here on that is the answer to everything.
    pub fn received(&mut self, bytes: &[u8], now: u64, budget: &mut u32) -> Result<usize, Flood> {
        if let Some(flood) = self.over {
            return Err(flood);
        }
        self.buckets.refill(now);
        let mut used = self.pass_preface(bytes);
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if *budget == 0 && self.theirs.is_between() {
                break;
            }
            let (count, frame) = self.theirs.next(rest);
            used += count;
            if let Some(frame) = frame {
                let weighs = if frame.kind == Kind::Headers { HEADERS_WEIGH } else { 1 };
                *budget = budget.saturating_sub(weighs);
                self.judge(&frame).inspect_err(|flood| self.over = Some(*flood))?;
            }
        }
        Ok(used)
    }

    /// The preface is as long as it is; whether it is right the protocol finds out.
    fn pass_preface(&mut self, bytes: &[u8]) -> usize {
        let missing = PREFACE.len() - usize::from(self.preface);
        let count = missing.min(bytes.len());
        self.preface += u8::try_from(count).unwrap_or(0);
        count
    }

    fn judge(&mut self, frame: &Frame) -> Result<(), Flood> {
        if frame.length > self.limits.frame {
            return Err(Flood::FrameSize);
        }
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        if !has_begun && (frame.kind != Kind::Settings || frame.has(ACK)) {
            return Err(Flood::NoSettings);
        }
        let buckets = &mut self.buckets;
        match frame.kind {
            Kind::Data if frame.has(END_STREAM) || frame.data() > 0 => Ok(()),
            Kind::Data if frame.length == 0 => buckets.take(Flood::DataEmpty, TOKEN),
            Kind::Data => buckets.take(Flood::DataPadded, TOKEN),
            Kind::Headers => self.headers(frame),
            Kind::Continuation => self.continuation(frame),
            Kind::Priority => {
                // Those are resets of ours (RFC 7540, sections 5.3.1 and 6.3).
                if frame.length != 5 || frame.depends_on() == Some(frame.stream) {
                    buckets.take(Flood::MadeReset, TOKEN)?;
                }
                buckets.take(Flood::Priority, TOKEN)
            }
            Kind::PriorityUpdate => buckets.take(Flood::Priority, TOKEN),
            Kind::Reset => buckets.take(Flood::RapidReset, TOKEN),
            Kind::Settings if frame.has(ACK) => self.acknowledged(0, Flood::SettingsAck),
            Kind::Settings => {
                buckets.take(Flood::Settings, TOKEN + frame.length / SETTINGS * TOKEN)
            }
            Kind::Ping if frame.has(ACK) => self.acknowledged(1, Flood::Ping),
            Kind::Ping => buckets.take(Flood::Ping, TOKEN),
            Kind::GoAway => buckets.take(Flood::GoAway, TOKEN),
            Kind::WindowUpdate => self.window_update(frame),
            Kind::Unknown | Kind::PushPromise => buckets.take(Flood::Unknown, TOKEN),
        }
    }

    fn headers(&mut self, frame: &Frame) -> Result<(), Flood> {
        self.buckets.take(Flood::Streams, TOKEN)?;
        if frame.depends_on() == Some(frame.stream) {
            self.buckets.take(Flood::MadeReset, TOKEN)?;
        }
        self.buckets.give(Flood::Priority, 2 * TOKEN);
        self.buckets.give(Flood::Unknown, 2 * TOKEN);
        self.last = self.last.max(frame.stream);
        self.block = Block { bytes: frame.length, pieces: 0 };
        self.block_is_bounded()
    }

    fn continuation(&mut self, frame: &Frame) -> Result<(), Flood> {
        self.block.bytes = self.block.bytes.saturating_add(frame.length);
        self.block.pieces = self.block.pieces.saturating_add(1);
        self.block_is_bounded()?;
        if self.block.pieces > CONTINUATIONS {
            return Err(Flood::Continuation);
        }
        if frame.length < SMALL_PIECE && !frame.has(END_HEADERS) {
            self.buckets.take(Flood::Continuation, TOKEN)?;
        }
        Ok(())
    }

    fn block_is_bounded(&self) -> Result<(), Flood> {
        if self.block.bytes > self.limits.block { Err(Flood::HeaderBlock) } else { Ok(()) }
    }

    /// One that was asked for is free.
    fn acknowledged(&mut self, which: usize, flood: Flood) -> Result<(), Flood> {
        let Some(left) = self.unacknowledged[which].checked_sub(1) else {
            return self.buckets.take(flood, TOKEN);
        };
        self.unacknowledged[which] = left;
        Ok(())
    }

    fn window_update(&mut self, frame: &Frame) -> Result<(), Flood> {
        let step = frame.increment().unwrap_or(0);
        if step == 0 {
            self.buckets.take(Flood::MadeReset, TOKEN)?;
        }
        let cost = if step < TINY_STEP { 3 * TOKEN } else { TOKEN };
        self.buckets.take(Flood::WindowUpdate, cost)
    }

    /// We have sent `bytes`, from the first one of the connection on.
    ///
    /// # Errors
    /// As [`Self::received`]: what the client made us send was too much.
    pub fn sent(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let (used, frame) = self.ours.next(bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            if let Some(frame) = frame {
                // To the end, whatever it is: a goodbye must fit behind it.
                self.over = self.over.or(self.earn(&frame).err());
            }
        }
        self.over.map_or(Ok(()), Err)
    }

    /// What a frame of ours gives back to the client, or costs it.
    fn earn(&mut self, frame: &Frame) -> Result<(), Flood> {
        let buckets = &mut self.buckets;
        match frame.kind {
            Kind::Data if frame.length > 0 => {
                buckets.give(Flood::Ping, TOKEN);
                let kibibytes = frame.length >> 10;
                buckets.give(Flood::WindowUpdate, (2 + kibibytes) * TOKEN);
            }
            Kind::Headers => {
                buckets.give(Flood::Ping, TOKEN);
                buckets.give(Flood::RapidReset, TOKEN / 2);
            }
            Kind::Reset => return self.reset(frame.code().unwrap_or(0)),
            Kind::Settings | Kind::Ping if !frame.has(ACK) => {
                let count = &mut self.unacknowledged[usize::from(frame.kind == Kind::Ping)];
                *count = count.saturating_add(1);
            }
            Kind::GoAway => {
                self.named = frame.last_stream();
                if frame.code() == Some(Flood::Library.code()) {
                    return Err(Flood::Library);
                }
            }
            _ => {}
        }
        if matches!(frame.kind, Kind::Data | Kind::Headers) && frame.has(END_STREAM) {
            self.buckets.give(Flood::RapidReset, TOKEN / 2);
            self.buckets.give(Flood::MadeReset, TOKEN / 10);
            self.buckets.give(Flood::Streams, 2 * TOKEN);
        }
        Ok(())
    }

    /// We have reset a stream, for this reason (RFC 9113, section 7).
    fn reset(&mut self, code: u32) -> Result<(), Flood> {
        match code {
            // PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR,
            // ENHANCE_YOUR_CALM.
            0x1 | 0x3 | 0x5 | 0x6 | 0x9 | 0xb => self.buckets.take(Flood::MadeReset, TOKEN),
            // REFUSED_STREAM: one of too many at once, which gives nothing back.
            0x7 => Ok(()),
            // Ours to blame, or an endpoint: NO_ERROR, INTERNAL_ERROR, CANCEL and the like.
            _ => {
                self.buckets.give(Flood::RapidReset, TOKEN / 2);
                self.buckets.give(Flood::Streams, 2 * TOKEN);
                Ok(())
            }
        }
    }
}
