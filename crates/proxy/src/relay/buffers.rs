//! What the sessions of a worker share: the copy buffer, the pipes, the current tick.

use crate::registry::{Registry, Tick};
use eclusa_sys::pipe::Pipe;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Size of the copy buffer. A read that fills it means bulk.
pub(super) const COPY: usize = 16 * 1024;
/// Size of a pipe: most of what 1 MiB gives, at a quarter of the user's pipe quota.
const PIPE: usize = 256 * 1024;
/// Idle pipes kept; each is two descriptors and, while empty, no memory to speak of.
const KEPT: usize = 32;
/// No new pipe is asked for within this long after the kernel refused one.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// The worker's copy buffer and pipes.
#[derive(Debug)]
pub(crate) struct Buffers {
    copy: RefCell<Box<[u8]>>,
    pipes: RefCell<Vec<Pipe>>,
    refused: Cell<Option<Tick>>,
    registry: Rc<Registry>,
}

impl Buffers {
    pub(crate) fn new(registry: Rc<Registry>) -> Rc<Self> {
        Rc::new(Self {
            copy: RefCell::new(vec![0; COPY].into_boxed_slice()),
            pipes: RefCell::default(),
            refused: Cell::new(None),
            registry,
        })
    }

    pub(super) fn now(&self) -> Tick {
        self.registry.now()
    }

    /// Lends the copy buffer; never across an await, for there is only one.
    pub(crate) fn with_copy<T>(&self, use_it: impl FnOnce(&mut [u8]) -> T) -> T {
        use_it(&mut self.copy.borrow_mut())
    }

    /// A pipe, unless the quota is used up: then the session goes on copying.
    pub(super) fn take_pipe(&self) -> Option<Pipe> {
        if let Some(pipe) = self.pipes.borrow_mut().pop() {
            return Some(pipe);
        }
        let paused = |at: Tick| self.now().elapsed_since(at) < REFUSED_PAUSE;
        if self.refused.get().is_some_and(paused) {
            return None;
        }
        match Pipe::open(PIPE) {
            Ok(pipe) => Some(pipe),
            Err(_) => {
                self.refused.set(Some(self.now()));
                None
            }
        }
    }

    /// Takes an empty pipe back.
    pub(super) fn return_pipe(&self, pipe: Pipe) {
        let mut pipes = self.pipes.borrow_mut();
        if pipes.len() < KEPT {
            pipes.push(pipe);
        }
    }
}
