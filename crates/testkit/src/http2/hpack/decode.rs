//! Reads blocks of fields as strictly as RFC 7541 lets a reader.

use super::STATIC;
use crate::http2::huffman;
use std::collections::VecDeque;

/// What an entry costs besides its bytes (RFC 7541, section 4.1).
const OVERHEAD: usize = 32;

/// Name and value.
type Pair = (Vec<u8>, Vec<u8>);

/// The reader of one connection's blocks.
#[derive(Debug)]
pub struct Decoder {
    /// The newest first.
    entries: VecDeque<Pair>,
    size: usize,
    /// What the writer has chosen.
    maximum: usize,
    /// What we allow.
    limit: usize,
    /// The next block must begin with a size: the limit has fallen below what was chosen.
    must_shrink: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        let entries = VecDeque::new();
        Self { entries, size: 0, maximum: 4096, limit: 4096, must_shrink: false }
    }
}

impl Decoder {
    /// What we allow from now on, when the writer has acknowledged it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.must_shrink = limit < self.maximum;
    }

    /// The size of its table (RFC 7541, section 4.1).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The fields of a block.
    ///
    /// # Errors
    /// What is wrong with it. The connection can not go on.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Pair>, String> {
        let mut fields = Vec::new();
        let mut rest = block;
        while let Some(first) = rest.first().copied() {
            if first & 0xe0 == 0x20 {
                let size = integer(&mut rest, 5)?;
                if !fields.is_empty() {
                    return Err("a table size behind a field".into());
                }
                self.resize(size)?;
                continue;
            }
            if self.must_shrink {
                return Err(format!("no table size, {} is the most now", self.limit));
            }
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                fields.push(self.entry(index)?);
                continue;
            }
            let is_kept = first & 0xc0 == 0x40;
            let index = integer(&mut rest, if is_kept { 6 } else { 4 })?;
            let name = match index {
                0 => text(&mut rest)?,
                _ => self.entry(index)?.0,
            };
            let field = (name, text(&mut rest)?);
            if is_kept {
                self.keep(field.clone());
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn resize(&mut self, size: usize) -> Result<(), String> {
        if size > self.limit {
            return Err(format!("a table of {size} bytes, {} is the most", self.limit));
        }
        self.maximum = size;
        self.must_shrink = false;
        self.evict(0);
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<Pair, String> {
        let place = index.checked_sub(1).ok_or("the index 0")?;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        let found = self.entries.get(place - STATIC.len());
        found.cloned().ok_or_else(|| format!("the index {index} of {}", self.entries.len() + 61))
    }

    fn keep(&mut self, field: Pair) {
        let size = field.0.len() + field.1.len() + OVERHEAD;
        self.evict(size);
        if size <= self.maximum {
            self.size += size;
            self.entries.push_front(field);
        }
    }

    /// Makes room for so many bytes.
    fn evict(&mut self, wanted: usize) {
        while self.size + wanted > self.maximum {
            let Some((name, value)) = self.entries.pop_back() else { return };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

fn integer(rest: &mut &[u8], prefix: u8) -> Result<usize, String> {
    let mut next = || {
        let (first, after) = rest.split_first().ok_or("a number ends early")?;
        *rest = after;
        Ok::<_, String>(*first)
    };
    let most = (1_usize << prefix) - 1;
    let mut value = usize::from(next()?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = next()?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of more than 28 bits".into())
}

fn text(rest: &mut &[u8]) -> Result<Vec<u8>, String> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or("a text ends early")?;
    *rest = after;
    if is_coded { huffman::decode(bytes) } else { Ok(bytes.to_vec()) }
}
