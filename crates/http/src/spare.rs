//! What exchanges use and leave to the next one on their thread: heads, records and buffers that have
//! grown to a usual size. Whoever rests holds none of it.

use eclusa_proxy::layer7::Exchange;
use eclusa_wire::http1::Head;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Of each kind, so many are kept at most: a burst leaves no more behind.
const KEPT: usize = 64;
/// One that has grown larger is not kept.
const LENGTH_MAX: usize = 16 << 10;

thread_local! {
    #[allow(clippy::vec_box, reason = "a head is lent without being moved")]
    static HEADS: RefCell<Vec<Box<Head>>> = const { RefCell::new(Vec::new()) };
    #[allow(clippy::vec_box, reason = "a record is lent without being moved")]
    static RECORDS: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A head that goes back to the thread when it is dropped. It stays where it is while it is handed on.
#[derive(Debug)]
pub(crate) struct Lent(Option<Box<Head>>);

/// What is read of a head that nobody has written to.
static EMPTY: Head = Head::new();

/// An empty head.
pub(crate) fn head() -> Lent {
    Lent(HEADS.with_borrow_mut(Vec::pop))
}

impl Deref for Lent {
    type Target = Head;

    fn deref(&self) -> &Head {
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Head {
        self.0.get_or_insert_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut head) = self.0.take() else { return };
        let size = head.buffer().capacity();
        if size == 0 || size > LENGTH_MAX {
            return;
        }
        head.use_rest(usize::MAX);
        head.recycle();
        // What came of a head that was never complete.
        head.buffer().clear();
        keep(&HEADS, head);
    }
}

/// The record of an exchange that is over, for the memory of its texts; [`give_back_record`] it.
pub(crate) fn record() -> Option<Box<Exchange>> {
    RECORDS.with_borrow_mut(Vec::pop)
}

/// Takes a record that was written for the next exchange.
pub(crate) fn give_back_record(mut record: Box<Exchange>) {
    record.forget();
    keep(&RECORDS, record);
}

/// An empty buffer; [`give_back`] it.
pub(crate) fn buffer() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes a buffer for the next one who needs it.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if (1..=LENGTH_MAX).contains(&buffer.capacity()) {
        buffer.clear();
        keep(&BUFFERS, buffer);
    }
}

fn keep<T>(kept: &'static std::thread::LocalKey<RefCell<Vec<T>>>, one: T) {
    // While the thread ends there is nobody to keep it for.
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(one);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_empty_and_grown() {
        let mut first = head();
        first.buffer().extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n");
        let capacity = first.buffer().capacity();
        drop(first);
        let mut second = head();
        assert!(second.buffer().is_empty());
        assert_eq!(second.buffer().capacity(), capacity);
        assert_eq!(second.fields().count(), 0);
        assert!(second.method().is_empty());
    }

    #[test]
    fn what_has_grown_too_large_and_what_is_too_many_is_not_kept() {
        give_back(Vec::with_capacity(LENGTH_MAX + 1));
        assert_eq!(buffer().capacity(), 0);
        for _ in 0..2 * KEPT {
            give_back(vec![1; 100]);
        }
        let kept = (0..2 * KEPT).map(|_| buffer()).filter(|buffer| buffer.capacity() > 0);
        assert_eq!(kept.count(), KEPT);
    }
}
