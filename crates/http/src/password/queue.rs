//! Passwords that wait for the thread that checks them.

use super::cache::Tag;
use eclusa_policy::limits::ClientNetwork;
use eclusa_policy::rules::PasswordHash;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Passwords that wait at most: at a quarter of a second for the dearest hash, 16 s for the last.
const WAITING: usize = 64;
/// Of these, those of one client network: one that guesses leaves room for others.
const OF_ONE: usize = 16;

/// A password to check.
pub(super) struct Job {
    pub(super) client: ClientNetwork,
    pub(super) tag: Tag,
    pub(super) hash: PasswordHash,
    /// The hash is the user's; else there is no such user, and it only takes the time.
    pub(super) is_there: bool,
    pub(super) password: String,
    pub(super) tell: oneshot::Sender<bool>,
}

/// Those that wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Full;

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it wait.
    ///
    /// # Errors
    /// There is no room, for anybody or for one more of its network.
    pub(super) fn push(&self, job: Job) -> Result<(), Full> {
        let mut waiting = self.waiting();
        let is_left = |job: &Job| !job.tell.is_closed();
        waiting.jobs.retain(is_left);
        let same = waiting.jobs.iter().filter(|other| other.client == job.client).count();
        if waiting.closed || waiting.jobs.len() >= WAITING || same >= OF_ONE {
            return Err(Full);
        }
        waiting.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The next one whose client is still there, once there is one; `None`: there will be none any
    /// more.
    pub(super) fn next(&self) -> Option<Job> {
        let mut waiting = self.waiting();
        loop {
            if waiting.closed {
                return None;
            }
            while let Some(job) = waiting.jobs.pop_front() {
                if !job.tell.is_closed() {
                    return Some(job);
                }
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is checked from here on.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn job(client: u32) -> (Job, oneshot::Receiver<bool>) {
        let (tell, told) = oneshot::channel();
        let hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
        let job = Job {
            client: IpAddr::from(Ipv4Addr::from_bits(client)).into(),
            tag: [0; 32],
            hash: PasswordHash::parse(hash).unwrap(),
            is_there: true,
            password: client.to_string(),
            tell,
        };
        (job, told)
    }

    #[test]
    fn one_network_leaves_room_for_others() {
        let queue = Queue::default();
        let mut told = Vec::new();
        let mut push = |client| {
            let (job, waits) = job(client);
            told.push(waits);
            queue.push(job).is_ok()
        };
        assert_eq!((0..50).filter(|_| push(1)).count(), OF_ONE);
        assert_eq!((2..100).filter(|client| push(*client)).count(), WAITING - OF_ONE);
        assert!(!push(200), "it is full");
        // Those whose clients have gone make room.
        told.truncate(20);
        assert!((0..4).all(|_| queue.next().is_some_and(|job| job.password == "1")));
        assert!(queue.push(job(200).0).is_ok());
    }
}
