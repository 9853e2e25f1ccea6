//! Messages on their way from those who have something to tell to the writer of a target.
//!
//! Whoever brings a line writes it, as the target wants it, where its thread's lane ends: a record that
//! is read where it was filled is in that core's cache, and the writer takes many messages at once.

use super::live::{self, Moment};
use std::collections::VecDeque;
use std::time::SystemTime;

/// Lines that may wait in a lane.
pub(super) const LINES: usize = 4096;
/// Bytes that may wait in a lane: more than its lines have at their usual length.
const BYTES: usize = 4 << 20;
/// A chunk that has so many bytes gets no more.
const CHUNK: usize = 32 << 10;

/// What one thread, or few, has to tell.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The last one grows; none is empty.
    chunks: VecDeque<Chunk>,
    /// Lines and bytes in all of them.
    lines: usize,
    bytes: usize,
    /// One that was emptied.
    spare: Chunk,
}

impl Lane {
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines >= LINES || self.bytes >= BYTES
    }

    /// Adds a message that `write` appends to the bytes it is given.
    pub(super) fn add(
        &mut self,
        at: SystemTime,
        live: &live::Source,
        write: impl FnOnce(&mut Vec<u8>, &mut Moment),
    ) {
        if self.chunks.back().is_none_or(|last| last.bytes.len() >= CHUNK) {
            self.chunks.push_back(std::mem::take(&mut self.spare));
        }
        if let Some(last) = self.chunks.back_mut() {
            self.bytes += last.add(at, live, write);
            self.lines += 1;
        }
    }

    /// The messages that came first.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        let mut first = self.chunks.pop_front()?;
        // It holds on to what it has counted no longer than it grows.
        first.moment = None;
        self.lines -= first.messages.len();
        self.bytes -= first.bytes.len();
        Some(first)
    }

    /// Takes the memory of a chunk that was read to its end.
    pub(super) fn give_back(&mut self, mut chunk: Chunk) {
        if chunk.bytes.capacity() <= 4 * CHUNK {
            chunk.bytes.clear();
            chunk.messages.clear();
            chunk.read = 0;
            self.spare = chunk;
        }
    }
}

/// Messages one behind the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// When each came, and where it ends.
    messages: Vec<(SystemTime, usize)>,
    /// Messages that were read.
    read: usize,
    /// Numbers that its messages tell of.
    moment: Option<Moment>,
}

impl Chunk {
    /// Adds a message, and returns its length.
    fn add(
        &mut self,
        at: SystemTime,
        live: &live::Source,
        write: impl FnOnce(&mut Vec<u8>, &mut Moment),
    ) -> usize {
        let begin = self.end_of(self.messages.len());
        // Something is left there only if who wrote it has panicked.
        self.bytes.truncate(begin);
        write(&mut self.bytes, self.moment.get_or_insert_with(|| Moment::now(live)));
        self.messages.push((at, self.bytes.len()));
        self.bytes.len() - begin
    }

    /// When the next message to be read came.
    pub(super) fn next_at(&self) -> Option<SystemTime> {
        self.messages.get(self.read).map(|(at, _)| *at)
    }

    /// Reads the next message.
    pub(super) fn read(&mut self) -> &[u8] {
        let (begin, end) = (self.end_of(self.read), self.end_of(self.read + 1));
        self.read += 1;
        self.bytes.get(begin..end).unwrap_or_default()
    }

    /// Messages that were not read.
    pub(super) fn left(&self) -> usize {
        self.messages.len().saturating_sub(self.read)
    }

    /// Where the message before the one with this number ends.
    fn end_of(&self, number: usize) -> usize {
        number.checked_sub(1).and_then(|last| self.messages.get(last)).map_or(0, |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn tell(lane: &mut Lane, number: usize, text: &str) {
        let at = UNIX_EPOCH + Duration::from_secs(number as u64);
        lane.add(at, &live::Source::new(), |bytes, _| bytes.extend_from_slice(text.as_bytes()));
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut lane = Lane::default();
        let texts: Vec<_> = (0..500).map(|number| "x".repeat(number)).collect();
        for (number, text) in texts.iter().enumerate() {
            tell(&mut lane, number, text);
        }
        assert_eq!((lane.lines(), lane.is_full()), (500, false));
        let (mut seen, mut chunks) = (0, 0);
        while let Some(mut chunk) = lane.take() {
            chunks += 1;
            while let Some(at) = chunk.next_at() {
                assert_eq!(at, UNIX_EPOCH + Duration::from_secs(seen as u64));
                assert_eq!(chunk.read(), texts[seen].as_bytes());
                seen += 1;
            }
            lane.give_back(chunk);
        }
        assert_eq!((seen, lane.lines(), lane.bytes), (500, 0, 0));
        assert_eq!(chunks, texts.iter().map(String::len).sum::<usize>().div_ceil(CHUNK + 500));
    }

    #[test]
    fn a_lane_has_room_for_so_many_lines_and_bytes() {
        let mut lane = Lane::default();
        for number in 0..LINES {
            assert!(!lane.is_full());
            tell(&mut lane, number, "x");
        }
        assert!(lane.is_full());
        let mut lane = Lane::default();
        tell(&mut lane, 0, &"x".repeat(BYTES));
        assert!(lane.is_full());
        let chunk = lane.take().unwrap();
        assert_eq!(chunk.left(), 1);
        lane.give_back(chunk);
        assert!(!lane.is_full());
        assert_eq!(lane.spare.bytes.capacity(), 0, "unusually much is not kept");
    }

    #[test]
    fn half_a_message_of_one_who_panicked_is_overwritten() {
        let mut lane = Lane::default();
        tell(&mut lane, 0, "first");
        lane.chunks[0].bytes.extend_from_slice(b"half");
        tell(&mut lane, 1, "second");
        let mut chunk = lane.take().unwrap();
        assert_eq!(chunk.read(), b"first");
        assert_eq!(chunk.left(), 1);
        assert_eq!(chunk.read(), b"second");
    }
}
