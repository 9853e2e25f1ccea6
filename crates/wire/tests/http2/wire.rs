//! Two sides that speak frames, and the counter between them.

use eclusa_wire::http2::{Counter, Flood, Limits, PREFACE};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A connection whose preface and settings are exchanged.
pub struct Wire {
    pub counter: Counter,
    /// Milliseconds.
    pub now: u64,
    /// Frames that the client has sent since.
    pub frames: u64,
}

impl Wire {
    pub fn new() -> Self {
        let mut wire =
            Self { counter: Counter::new(Limits::default(), 1_000), now: 1_000, frames: 0 };
        wire.bytes(PREFACE).unwrap();
        wire.client(SETTINGS, 0, 0, &[0; 18]).unwrap();
        wire.ours(SETTINGS, 0, 0, &[0; 12]);
        wire.client(SETTINGS, ACK, 0, &[]).unwrap();
        wire.ours(SETTINGS, ACK, 0, &[]);
        wire.frames = 0;
        wire
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Flood> {
        let mut budget = u32::MAX;
        let used = self.counter.received(bytes, self.now, &mut budget)?;
        assert_eq!(used, bytes.len());
        Ok(())
    }

    pub fn client(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Result<(), Flood> {
        self.frames += 1;
        self.bytes(&frame(kind, flags, stream, payload))
    }

    /// We send a frame; honest clients are not cut by what we do.
    pub fn ours(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.ours_or(kind, flags, stream, payload).unwrap();
    }

    pub fn ours_or(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Result<(), Flood> {
        self.counter.sent(&frame(kind, flags, stream, payload))
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
    }
}
