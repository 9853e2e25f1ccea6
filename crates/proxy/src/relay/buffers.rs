//! What the sessions of a worker share: the copy buffer, the pipes, the current tick.

use crate::registry::{Registry, Tick};
use eclusa_sys::pipe::Pipe;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// Size of the copy buffer. A read that fills it means bulk.
pub(super) const COPY: usize = 16 * 1024;
/// Size of the first pipes: a single stream costs a tenth less CPU than through [`PIPE`].
const LARGE_PIPE: usize = 1024 * 1024;
/// Large pipes of all workers together: half of a user's quota (`fs.pipe-user-pages-soft`, 64 MiB).
const LARGE_PIPES: usize = 32;
/// Size of the others: with many streams as good as the large ones, at a quarter of the quota.
const PIPE: usize = 256 * 1024;
/// Pipes of all workers together, two descriptors each: the quota allows no more of them.
pub(crate) const PIPES: usize = 256;
/// Idle pipes kept; while empty they take no memory to speak of.
const KEPT: usize = 32;
/// Bytes of stalled sessions of one worker that may lie in memory; beyond them such a session keeps
/// its pipe.
const PARKED: usize = 32 * 1024 * 1024;
/// No new pipe is asked for within this long after the kernel refused one.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// The worker's copy buffer and pipes.
#[derive(Debug)]
pub(crate) struct Buffers {
    copy: RefCell<Box<[u8]>>,
    /// Large ones last: they are taken first.
    pipes: RefCell<Vec<PooledPipe>>,
    /// Held by each pipe of this worker, so that its count is theirs; and by each large one.
    all: Rc<()>,
    all_max: usize,
    large: Rc<()>,
    large_max: usize,
    parked: Rc<Cell<usize>>,
    refused: Cell<Option<Tick>>,
    registry: Rc<Registry>,
}

/// A pipe of a worker's pool.
#[derive(Debug)]
pub(super) struct PooledPipe {
    pipe: Pipe,
    large: Option<Rc<()>>,
    _counted: Rc<()>,
}

/// Room in the memory for stalled sessions; dropped = free again.
#[derive(Debug)]
pub(super) struct Parked {
    bytes: usize,
    all: Rc<Cell<usize>>,
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.bytes));
    }
}

impl Deref for PooledPipe {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        &self.pipe
    }
}

impl Buffers {
    /// The buffers of one of `workers` workers.
    pub(crate) fn new(registry: Rc<Registry>, workers: usize) -> Rc<Self> {
        Rc::new(Self {
            copy: RefCell::new(vec![0; COPY].into_boxed_slice()),
            pipes: RefCell::default(),
            all: Rc::default(),
            all_max: (PIPES / workers.max(1)).max(1),
            large: Rc::default(),
            large_max: (LARGE_PIPES / workers.max(1)).min(KEPT),
            parked: Rc::default(),
            refused: Cell::new(None),
            registry,
        })
    }

    /// Pipes that there are, in use or kept.
    pub(crate) fn pipes(&self) -> usize {
        Rc::strong_count(&self.all) - 1
    }

    pub(super) fn now(&self) -> Tick {
        self.registry.now()
    }

    /// Who tells the time.
    pub(super) fn clock(&self) -> &Registry {
        &self.registry
    }

    /// Lends the copy buffer; never across an await, for there is only one.
    pub(crate) fn with_copy<T>(&self, use_it: impl FnOnce(&mut [u8]) -> T) -> T {
        use_it(&mut self.copy.borrow_mut())
    }

    /// A pipe, unless the quota is used up: then the session goes on copying.
    pub(super) fn take_pipe(&self) -> Option<PooledPipe> {
        if let Some(pipe) = self.pipes.borrow_mut().pop() {
            return Some(pipe);
        }
        let paused = |at: Tick| self.now().elapsed_since(at) < REFUSED_PAUSE;
        let refused = self.refused.get().is_some_and(paused);
        if refused || Rc::strong_count(&self.all) > self.all_max {
            return None;
        }
        let counted = self.all.clone();
        if Rc::strong_count(&self.large) <= self.large_max
            && let Ok(pipe) = Pipe::open(LARGE_PIPE)
        {
            return Some(PooledPipe { pipe, large: Some(self.large.clone()), _counted: counted });
        }
        match Pipe::open(PIPE) {
            Ok(pipe) => Some(PooledPipe { pipe, large: None, _counted: counted }),
            Err(_) => {
                self.refused.set(Some(self.now()));
                None
            }
        }
    }

    /// Room for so many bytes of a stalled session, while there is any.
    pub(super) fn park(&self, bytes: usize) -> Option<Parked> {
        let parked = self.parked.get() + bytes;
        (parked <= PARKED).then(|| {
            self.parked.set(parked);
            Parked { bytes, all: self.parked.clone() }
        })
    }

    /// Takes an empty pipe back.
    pub(super) fn return_pipe(&self, pipe: PooledPipe) {
        let mut pipes = self.pipes.borrow_mut();
        if pipe.large.is_some() {
            pipes.push(pipe);
        } else if pipes.len() < KEPT {
            pipes.insert(0, pipe);
        }
    }
}
