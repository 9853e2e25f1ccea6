//! The buffer that everything on a worker's thread is read into. It is never held across an
//! `await`: an exchange that waits holds none.

use std::cell::RefCell;

/// Its length. As large as a TLS record, and as what a socket usually has ready.
const LENGTH: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LENGTH].into_boxed_slice());
}

/// Lends the buffer. What `use_it` calls must not ask for it again.
pub(crate) fn with_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| use_it(scratch))
}
