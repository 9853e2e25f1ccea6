//! The thread that starts every child process.
//!
//! Children ask the kernel to be killed when their parent dies (`setpriv --pdeathsig`), so that a
//! killed test leaves none behind; and to the kernel the parent is the *thread* that forked. So
//! that one has to live as long as the test process: it is never a test's own.

use rustix::io::{FdFlags, fcntl_setfd};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

type Job = (Command, Vec<OwnedFd>, SyncSender<io::Result<Child>>);

/// Starts `command` on the lasting thread; it inherits `passed`.
pub(super) fn spawn(command: Command, passed: Vec<OwnedFd>) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (send, receive) = channel();
        // Without a thread the channel is closed, and the send below says so.
        let _ = std::thread::Builder::new().name("spawner".into()).spawn(|| serve(receive));
        send
    });
    let (answer, answered) = sync_channel(1);
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner.send((command, passed, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn serve(jobs: Receiver<Job>) {
    leave_namespace();
    for (mut command, passed, answer) in jobs {
        for descriptor in &passed {
            // For as long as the start takes: other threads start children as well, but not here, and
            // none that last.
            let _ = fcntl_setfd(descriptor, FdFlags::empty());
        }
        let child = command.spawn();
        drop(passed);
        // Whoever asked waits for the answer.
        let _ = answer.send(child);
    }
}

/// The thread may have been born in the namespace of the test that came first; children are to
/// be born in that of the test process.
fn leave_namespace() {
    if let Ok(own) = std::fs::File::open("/proc/self/ns/net") {
        use std::os::fd::AsFd;
        // Fails without root: then no test can have been in another namespace.
        let _ = rustix::thread::move_into_link_name_space(own.as_fd(), None);
    }
}
