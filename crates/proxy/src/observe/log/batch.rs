//! Messages on their way to a target: what was not taken stays, whole messages at a time.

/// What ends a message, or stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A line feed behind each.
    Lines,
    /// Its length before it (RFC 6587, section 3.4.1).
    Counted,
    /// Nothing: each is a datagram.
    None,
}

/// How the other side has ended a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// It has read all that had come to it by then: otherwise it resets (RFC 1122, section
    /// 4.2.2.13; for unix sockets Linux does the same).
    InOrder,
    /// What the stream took may never be read, nobody knows from where on.
    Broken,
}

/// Messages on their way.
#[derive(Debug)]
pub(super) struct Batch {
    framing: Framing,
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
    /// Messages that were taken whole.
    taken: usize,
    /// Bytes that were taken.
    done: usize,
    /// Messages that were lost on the way.
    lost: u64,
    /// How the stream ended that took the messages before these.
    ended: Option<StreamEnd>,
}

impl Batch {
    pub(super) fn new(framing: Framing, capacity: usize) -> Self {
        let bytes = Vec::with_capacity(capacity);
        Self { framing, bytes, ends: Vec::new(), taken: 0, done: 0, lost: 0, ended: None }
    }

    pub(super) fn push(&mut self, message: &[u8]) {
        if self.framing == Framing::Counted {
            self.bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
        }
        self.bytes.extend_from_slice(message);
        if self.framing == Framing::Lines {
            self.bytes.push(b'\n');
        }
        self.ends.push(self.bytes.len());
    }

    /// Bytes that it holds, those already taken included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all messages were taken.
    pub(super) fn is_done(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// Messages that were not taken whole.
    pub(super) fn left(&self) -> u64 {
        (self.ends.len() - self.taken) as u64
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        (self.taken, self.done) = (0, 0);
    }

    /// The bytes that were not taken yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    /// `count` more bytes were taken.
    pub(super) fn advance(&mut self, count: usize) {
        self.done = (self.done + count).min(self.bytes.len());
        while self.ends.get(self.taken).is_some_and(|end| *end <= self.done) {
            self.taken += 1;
        }
    }

    /// A new stream begins: the message that was taken in part goes there whole.
    pub(super) fn rewind(&mut self) {
        self.done = self.begin();
    }

    fn begin(&self) -> usize {
        self.taken.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }

    /// The next message, without the line feed that may end it.
    pub(super) fn message(&self) -> Option<&[u8]> {
        let end = *self.ends.get(self.taken)?;
        let message = self.bytes.get(self.begin()..end)?;
        match self.framing {
            Framing::Lines => message.strip_suffix(b"\n"),
            _ => Some(message),
        }
    }

    /// The next message was taken.
    pub(super) fn pass(&mut self) {
        if let Some(end) = self.ends.get(self.taken) {
            self.done = *end;
            self.taken += 1;
        }
    }

    /// A message was lost on the way.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
    }

    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// The stream has ended; of two that end over the same batch, the first took what came before.
    pub(super) fn end_stream(&mut self, end: StreamEnd) {
        self.ended.get_or_insert(end);
    }

    pub(super) fn take_ended(&mut self) -> Option<StreamEnd> {
        self.ended.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_in_part_goes_whole_into_the_next_stream() {
        let mut batch = Batch::new(Framing::Counted, 0);
        for message in ["one", "two and two", "three"] {
            batch.push(message.as_bytes());
        }
        assert_eq!(batch.rest(), b"3 one11 two and two5 three");
        batch.advance(8);
        assert_eq!((batch.left(), batch.is_done()), (2, false));
        batch.rewind();
        assert_eq!(batch.rest(), b"11 two and two5 three");
        batch.advance(21);
        assert!(batch.is_done() && batch.rest().is_empty());
    }

    #[test]
    fn datagrams_are_single_messages() {
        let mut batch = Batch::new(Framing::Lines, 0);
        batch.push(b"one");
        batch.push(b"two");
        assert_eq!(batch.message(), Some(&b"one"[..]));
        batch.pass();
        assert_eq!(batch.message(), Some(&b"two"[..]));
        batch.pass();
        assert_eq!(batch.message(), None);
        assert!(batch.is_done());
    }
}
