//! Passwords of `basic_auth`. To find out whether one is right takes long, by design of its hash: that
//! is done by a thread of its own, one after the other, and what it has found out is remembered for a
//! while. No worker ever waits for it, only the exchange that asked.
//!
//! | file | what |
//! |---|---|
//! | `cache` | what was found out |
//! | `queue` | what waits to be, and how much of whom may |
//! | `hash`, `sha_crypt` | whether a password has a hash |
//! | `users` | files of users, read again when they change |

mod cache;
mod hash;
mod queue;
mod sha_crypt;
mod users;

pub(crate) use users::UserFiles;

use crate::exchange::Run;
use crate::forward::Failed;
use crate::stream::{Presence, Stream};
use aws_lc_rs::hmac;
use cache::{Cache, Tag};
use eclusa_policy::limits::ClientNetwork;
use eclusa_policy::rules::{
    Basic, Context, Credentials, Decision, End as RuleEnd, PasswordHash, Rule, go_on,
};
use eclusa_proxy::layer7::{End, Login, Step, Who};
use queue::{Job, Queue};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;
use tokio::sync::oneshot;

/// A longer password is nobody's: SHA-crypt takes the longer the longer it is.
const PASSWORD_MAX: usize = 256;

/// What is known of passwords, and the thread that finds out the rest. One for all listeners.
pub(crate) struct Passwords {
    /// What is remembered is no password but a code of one by this key, which never leaves the process.
    key: hmac::Key,
    cache: Arc<Cache>,
    queue: Arc<Queue>,
    thread: OnceLock<()>,
}

/// Nothing of it is for a log.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without randomness this host can speak no TLS either; names and passwords are compared all the
        // same.
        let _ = aws_lc_rs::rand::fill(&mut secret);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            cache: Arc::default(),
            queue: Arc::default(),
            thread: OnceLock::new(),
        }
    }
}

/// Ends the thread.
impl Drop for Passwords {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Passwords {
    /// Starts the thread, once.
    ///
    /// # Errors
    /// The system has none.
    pub(crate) fn start(&self) -> io::Result<()> {
        if self.thread.get().is_none() {
            let (queue, cache) = (Arc::clone(&self.queue), Arc::clone(&self.cache));
            let run = move || {
                while let Some(job) = queue.next() {
                    // A bug that one password has found must not end the logins of all.
                    let _ = catch_unwind(AssertUnwindSafe(|| check(job, &cache)));
                }
            };
            std::thread::Builder::new().name("passwords".into()).spawn(run)?;
            // One prepares at a time.
            let _ = self.thread.set(());
        }
        Ok(())
    }

    /// Whether the password is right, if that is known; else what has to be found out.
    fn look_up(&self, users: &UserFiles, basic: &Basic, credentials: &Credentials) -> Looked {
        let Credentials { user, password } = credentials;
        if password.len() > PASSWORD_MAX {
            return Looked::Known(false);
        }
        let name = self.code(&[user.as_bytes()]);
        let pick = u64::from_le_bytes(std::array::from_fn(|index| name[index]));
        let looked = users.find(basic, user, pick, |hash, is_there| {
            // A user who is gone, whose hash another has: what was known of the one counts no more.
            let whose: &[u8] = if is_there { b"own" } else { b"other" };
            let (user, hash_text) = (user.as_bytes(), hash.as_str().as_bytes());
            let tag = self.code(&[whose, user, hash_text, password.as_bytes()]);
            match self.cache.get(&tag, Instant::now()) {
                Some(right) => Looked::Known(right),
                None => Looked::Unknown(tag, hash.clone(), is_there),
            }
        });
        looked.unwrap_or(Looked::Known(false))
    }

    fn code(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let code = context.sign();
        std::array::from_fn(|index| code.as_ref().get(index).copied().unwrap_or_default())
    }
}

/// What a look into the memory yields.
enum Looked {
    Known(bool),
    /// The password's code, the hash to compare it with, and whether that is the user's own.
    Unknown(Tag, PasswordHash, bool),
}

/// Finds out about one password.
fn check(job: Job, cache: &Cache) {
    let Job { tag, hash, is_there, password, tell, .. } = job;
    // A browser asks over several connections at once: the first of them has found it out.
    let known = cache.get(&tag, Instant::now());
    let right = known.unwrap_or_else(|| hash::fits(&hash, password.as_bytes()) && is_there);
    if known.is_none() {
        cache.put(tag, right, Instant::now());
    }
    // Whoever asked may have gone.
    let _ = tell.send(right);
}

impl Run<'_> {
    /// Decides what becomes of the request, passwords included.
    pub(crate) async fn decide<'r>(
        &mut self,
        rules: &'r [Rule],
        context: &Context<'_>,
    ) -> Result<Decision<'r>, Failed> {
        let (passwords, users) = (&self.site.passwords, &self.http.users);
        let mut found: Vec<(&'r Basic, bool)> = Vec::new();
        let mut login = None;
        let mut decision = Decision::default();
        // Each turn finds out about one more rule.
        loop {
            decision = go_on(decision, rules, context, &mut |basic, credentials| {
                let here = found.iter().find(|(known, _)| std::ptr::eq(*known, basic));
                let right = match here {
                    Some((_, right)) => Some(*right),
                    None => match passwords.look_up(users, basic, credentials) {
                        Looked::Known(right) => Some(right),
                        Looked::Unknown(..) => None,
                    },
                };
                login = right;
                right
            });
            let Some(RuleEnd::Verify(basic, credentials)) = &decision.end else {
                if let Some(right) = login {
                    let login = if right { Login::Right } else { Login::Wrong };
                    self.session.connection.login(login);
                }
                return Ok(decision);
            };
            let right = match passwords.look_up(users, basic, credentials) {
                Looked::Known(right) => right,
                Looked::Unknown(tag, hash, is_there) => {
                    let password = credentials.password.clone();
                    let client = self.session.connection.client().ip();
                    let job = |tell| Job::new(client, (tag, hash, is_there), password, tell);
                    self.find_out(job).await?
                }
            };
            found.push((basic, right));
        }
    }

    /// Has the thread find out; the worker serves others meanwhile.
    async fn find_out(
        &mut self,
        job: impl FnOnce(oneshot::Sender<bool>) -> Job,
    ) -> Result<bool, Failed> {
        let (tell, told) = oneshot::channel();
        let unheard = || {
            self.session.connection.login(Login::Unheard);
            let why = "too many other passwords wait to be checked";
            Failed::Answer(503, End::abort(Who::Proxy, Step::Route, why))
        };
        if self.site.passwords.queue.push(job(tell)).is_err() {
            return Err(unheard());
        }
        match until_gone(self.client, told).await {
            Some(Ok(right)) => Ok(right),
            Some(Err(_)) => Err(unheard()),
            None => {
                let why = "left while its password was checked";
                Err(Failed::Client(End::abort(Who::Client, Step::Route, why)))
            }
        }
    }
}

/// What `future` yields, unless the client resets the connection first.
async fn until_gone<T>(client: &Stream, mut future: impl Future<Output = T> + Unpin) -> Option<T> {
    poll_fn(|context| {
        if client.presence(context) == Presence::Gone {
            return Poll::Ready(None);
        }
        Pin::new(&mut future).poll(context).map(Some)
    })
    .await
}

impl Job {
    fn new(
        client: IpAddr,
        (tag, hash, is_there): (Tag, PasswordHash, bool),
        password: String,
        tell: oneshot::Sender<bool>,
    ) -> Self {
        Self { client: ClientNetwork::from(client), tag, hash, is_there, password, tell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::rules::Users;

    const LINE: &str = "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    fn basic(line: &str) -> Basic {
        let users = Arc::new(Users::parse(line).unwrap());
        Basic { realm: "x".into(), users, file: None }
    }

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    /// As an exchange does it, but on this thread; and whether it was known before.
    fn ask(passwords: &Passwords, basic: &Basic, user: &str, password: &str) -> (bool, bool) {
        match passwords.look_up(&UserFiles::default(), basic, &credentials(user, password)) {
            Looked::Known(right) => (right, true),
            Looked::Unknown(tag, hash, is_there) => {
                let (tell, mut told) = oneshot::channel();
                let client = IpAddr::from([192, 0, 2, 1]);
                let job = Job::new(client, (tag, hash, is_there), password.into(), tell);
                check(job, &passwords.cache);
                (told.try_recv().unwrap(), false)
            }
        }
    }

    #[test]
    fn what_was_found_out_is_known_until_the_hash_changes() {
        let (passwords, ours) = (Passwords::default(), basic(LINE));
        let right = ("alice", "secret");
        assert_eq!(ask(&passwords, &ours, right.0, right.1), (true, false));
        assert_eq!(ask(&passwords, &ours, right.0, right.1), (true, true));
        for (user, password) in [("alice", "wrong"), ("bob", "secret"), ("alice", "")] {
            assert_eq!(ask(&passwords, &ours, user, password), (false, false), "{user}");
            assert_eq!(ask(&passwords, &ours, user, password), (false, true), "{user}");
        }
        // Another hash of the same password: nothing is taken over.
        let other = basic("alice:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW");
        assert_eq!(ask(&passwords, &other, right.0, right.1), (false, false));
        let gone = basic(&LINE.replace("alice", "carol"));
        assert!(!ask(&passwords, &gone, right.0, right.1).0, "she was removed");
        assert_eq!(ask(&passwords, &ours, "alice", &"x".repeat(257)), (false, true));
    }

    #[test]
    fn no_secret_is_shown() {
        let passwords = Passwords::default();
        ask(&passwords, &basic(LINE), "alice", "secret");
        assert_eq!(format!("{passwords:?}"), "Passwords");
    }

    #[test]
    fn the_thread_answers_and_ends_with_what_it_serves() {
        let passwords = Passwords::default();
        passwords.start().unwrap();
        passwords.start().unwrap();
        let queue = Arc::clone(&passwords.queue);
        let looked =
            passwords.look_up(&UserFiles::default(), &basic(LINE), &credentials("alice", "secret"));
        let Looked::Unknown(tag, hash, is_there) = looked else { panic!() };
        let (tell, told) = oneshot::channel();
        let client = IpAddr::from([192, 0, 2, 1]);
        let job = Job::new(client, (tag, hash, is_there), "secret".into(), tell);
        assert!(passwords.queue.push(job).is_ok());
        assert_eq!(told.blocking_recv(), Ok(true));
        drop(passwords);
        assert!(queue.next().is_none(), "it is closed");
    }
}
