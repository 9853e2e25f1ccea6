//! Compresses bodies by gzip (RFC 1952), piece by piece: what came of a body goes out compressed at once,
//! however long the rest keeps waiting.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::cell::Cell;
use std::io::Write;

thread_local! {
    /// Bodies of this worker that are being compressed.
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

/// The right to compress a body; dropped = another may.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        // While the thread ends nobody asks.
        let _ = UNDER_WAY.try_with(|count| count.set(count.get().saturating_sub(1)));
    }
}

/// Compresses one body.
pub(crate) struct Packer {
    gzip: GzEncoder<Vec<u8>>,
    /// Something has come since what came last went out.
    holds: bool,
    _place: Place,
}

impl Packer {
    /// `None`: this worker compresses `most` already, and each takes memory.
    pub(crate) fn begin(most: usize) -> Option<Box<Self>> {
        let count = UNDER_WAY.get();
        if count >= most {
            return None;
        }
        UNDER_WAY.set(count + 1);
        // The fastest: what it leaves out costs a worker more than it saves a network.
        let gzip = GzEncoder::new(Vec::new(), Compression::fast());
        Some(Box::new(Self { gzip, holds: false, _place: Place }))
    }

    /// Takes a piece of the body in.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.holds |= !piece.is_empty();
        // To memory nothing fails, here and below.
        let _ = self.gzip.write_all(piece);
    }

    /// What has come so far, but for what came out before.
    pub(super) fn flush(&mut self) -> Vec<u8> {
        if !std::mem::take(&mut self.holds) {
            return Vec::new();
        }
        let _ = self.gzip.flush();
        std::mem::take(self.gzip.get_mut())
    }

    /// The end of it.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.holds = false;
        let _ = self.gzip.try_finish();
        std::mem::take(self.gzip.get_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn what_came_can_be_read_before_the_rest_comes() {
        let mut packer = Packer::begin(1).unwrap();
        packer.take(b"one ");
        packer.take(b"two ");
        let mut packed = packer.flush();
        assert!(packer.flush().is_empty(), "nothing has come since");
        let mut so_far = [0; 8];
        GzDecoder::new(&packed[..]).read_exact(&mut so_far).unwrap();
        assert_eq!(&so_far, b"one two ");
        packer.take(&b"three ".repeat(1_000));
        packed.extend(packer.finish());
        let mut whole = String::new();
        GzDecoder::new(&packed[..]).read_to_string(&mut whole).unwrap();
        assert_eq!(whole, format!("one two {}", "three ".repeat(1_000)));
        assert!(packed.len() < 200, "{}", packed.len());
        assert!(packer.flush().is_empty());
    }

    #[test]
    fn a_worker_compresses_no_more_at_once_than_it_may() {
        let first = Packer::begin(2).unwrap();
        let second = Packer::begin(2).unwrap();
        assert!(Packer::begin(2).is_none());
        drop(first);
        let third = Packer::begin(2);
        assert!(third.is_some() && Packer::begin(2).is_none());
        drop((second, third));
        assert_eq!(UNDER_WAY.get(), 0);
    }
}
