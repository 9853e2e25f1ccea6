//! Tells when the reactor has come round: when everything that was ready has had its turn, and the sockets
//! were looked at.

use eclusa_proxy::layer7::come_round;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// Rings when the reactor has come round since it was set; whoever it wakes may be woken by others before.
/// Only one thread has to do with it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    has_rung: AtomicBool,
    /// The reactor will ring it.
    is_set: AtomicBool,
    /// Whom it wakes.
    sleeper: Mutex<Option<Waker>>,
}

impl Bell {
    /// Has it ring for `sleeper`, and for nobody else any more; at once, where it has rung already.
    pub(crate) fn set(self: &Arc<Self>, sleeper: &Waker) {
        if self.has_rung.load(Ordering::Relaxed) {
            return sleeper.wake_by_ref();
        }
        *self.sleeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(sleeper.clone());
        if !self.is_set.swap(true, Ordering::Relaxed) {
            let bell = Waker::from(Arc::clone(self));
            come_round(&mut Context::from_waker(&bell));
        }
    }

    /// Whether it has rung; it has not any more.
    pub(crate) fn take(&self) -> bool {
        self.has_rung.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.is_set.store(false, Ordering::Relaxed);
        self.has_rung.store(true, Ordering::Relaxed);
        let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}
