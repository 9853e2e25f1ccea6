//! A thread with a reactor of its own, which ends when its handle is dropped; and what fakes on
//! it need of the system.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Connections that may wait to be accepted: more than any test opens at once.
const BACKLOG: i32 = 4096;

/// Listens on `address` (port 0: a free one) in the network namespace of this thread; to be
/// called inside a runtime. An address whose old connections still linger can be used again.
///
/// # Errors
/// What the system said, with the address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|error| io::Error::new(error.kind(), format!("listen on {address}: {error}")))
}

/// Runs what hyper spawns on the thread that asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Raises the soft limit of open files to the hard one, for tests with thousands of sessions,
/// and returns it. Children inherit it, so it is never done behind the caller's back.
#[must_use]
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    now.current.unwrap_or(u64::MAX)
}

/// A thread that runs one future on a tokio `current_thread` runtime. Dropping the handle drops
/// the future wherever it stands, with every task it spawned, and waits for the thread's end.
#[derive(Debug)]
pub struct Background {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread; `start` runs on it, inside the runtime, before this function returns.
    /// It yields something for the caller (an address) and the future to run on.
    ///
    /// # Errors
    /// What `start` said, or the system that has no thread for us.
    pub fn start<T, F>(
        name: &str,
        start: impl FnOnce() -> io::Result<(T, F)> + Send + 'static,
    ) -> io::Result<(T, Self)>
    where
        T: Send + 'static,
        F: Future<Output = ()>,
    {
        let (stop, mut stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                match start() {
                    Ok((value, run)) => {
                        if tell.send(Ok(value)).is_err() {
                            return;
                        }
                        tokio::select! {
                            () = run => {}
                            // The sender lives in the handle: an error means it was dropped.
                            _ = stopped.wait_for(|stop| *stop) => {}
                        }
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
        })?;
        let handle = Self { stop, thread: Some(thread) };
        let value = told
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread died while it started")))?;
        Ok((value, handle))
    }

    /// Whether the future has ended by itself (or panicked).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic on the thread has already been printed there; a second one here, perhaps
            // during an unwinding, would abort the test process.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn dropping_the_handle_drops_the_future() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&gone));
        let (value, handle) = Background::start("forever", move || {
            Ok((5, async move {
                let _held = flag;
                std::future::pending::<()>().await;
            }))
        })
        .unwrap();
        assert_eq!(value, 5);
        assert!(!handle.is_finished());
        drop(handle);
        assert!(gone.load(Ordering::SeqCst));
    }

    #[test]
    fn an_error_of_the_start_comes_back() {
        let result = Background::start("broken", || {
            Err::<((), std::future::Ready<()>), _>(io::Error::other("no"))
        });
        assert_eq!(result.err().map(|e| e.to_string()).as_deref(), Some("no"));
    }
}
