//! Keys of session tickets: one set for all workers and listeners of the process, so that a client
//! may come back on any of them; from a file, one set for a pair of hosts.
//!
//! Without a file a key makes tickets for [`ROTATION`], and is accepted for two times that
//! afterwards; then it is gone, and whoever steals the process's memory cannot read what it has
//! protected.
//!
//! A ticket is sealed with a key of its own, derived from the shared one, from random bytes that
//! stand in the ticket, and from the *context* it was made in: what the listener demands of its
//! clients. A session that was begun where no certificate is asked for, or another CA is believed,
//! is no session where one is: rustls takes the client's identity from the ticket and does not
//! verify it again.

use super::files::{Files, Kind, Stamp};
use super::mistake::Mistake;
use super::ticket_file;
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::fill;
use rustls::server::ProducesTickets;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a key makes tickets.
pub const ROTATION: Duration = Duration::from_secs(4 * 3600);

/// How long a client may keep a ticket: as long as its key is accepted for certain.
const LIFETIME: Duration = Duration::from_secs(2 * 4 * 3600);

/// No ticket that we make is longer: the chain of a client certificate stands in it.
const TICKET_MAX: usize = 32 * 1024;

const NAME: usize = 16;
const SALT: usize = 16;

/// The keys of this process.
pub struct Tickets {
    ring: ArcSwap<Ring>,
    origin: Origin,
    turn: Mutex<Turn>,
}

/// Where keys come from.
enum Origin {
    Random,
    File(PathBuf),
}

/// When they change next, and what the file was when they were read.
struct Turn {
    rotated: Instant,
    seen: Option<Stamp>,
    /// The state of the file that was found wrong and told.
    told: Option<Option<Stamp>>,
}

/// The keys in use, the one that makes tickets first.
struct Ring(Vec<Secret>);

struct Secret {
    name: [u8; NAME],
    key: hmac::Key,
}

impl Secret {
    fn new(bytes: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let mut name = [0; NAME];
        name.copy_from_slice(&hmac::sign(&key, b"eclusa ticket name").as_ref()[..NAME]);
        Self { name, key }
    }

    fn random() -> Self {
        let mut bytes = [0; 32];
        fill(&mut bytes).expect("the system has randomness");
        Self::new(&bytes)
    }

    /// The key of the one ticket with this salt.
    fn sealer(&self, context: &[u8; 32], salt: &[u8]) -> Option<LessSafeKey> {
        let mut derive = hmac::Context::with_key(&self.key);
        derive.update(b"eclusa ticket key");
        derive.update(context);
        derive.update(salt);
        let key = UnboundKey::new(&AES_256_GCM, derive.sign().as_ref()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

/// Each key seals one ticket.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl Tickets {
    /// Random keys, which nobody else has and which change by themselves.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn random(now: Instant) -> Arc<Self> {
        Arc::new(Self::of(Ring(vec![Secret::random()]), Origin::Random, now, None))
    }

    /// Keys from a file that several hosts share: a line of base64 each, 32, 48 or 80 bytes, the
    /// last three in use, the one before the last for new tickets (HAProxy's `tls-ticket-keys`).
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn from_file(files: &dyn Files, path: PathBuf, now: Instant) -> Result<Arc<Self>, Mistake> {
        let (ring, seen) = read(files, &path)?;
        Ok(Arc::new(Self::of(ring, Origin::File(path), now, Some(seen))))
    }

    fn of(ring: Ring, origin: Origin, now: Instant, seen: Option<Stamp>) -> Self {
        let turn = Mutex::new(Turn { rotated: now, seen, told: None });
        Self { ring: ArcSwap::from_pointee(ring), origin, turn }
    }

    /// Changes the keys when it is time, or when their file has changed. To be called every second
    /// or so, not on a worker. `Ok(true)`: there are new ones.
    ///
    /// # Errors
    /// The file is wrong; told once for each of its states, and the old keys stay.
    pub fn tend(&self, files: &dyn Files, now: Instant) -> Result<bool, Mistake> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = match &self.origin {
            Origin::Random if now.saturating_duration_since(turn.rotated) < ROTATION => {
                return Ok(false);
            }
            Origin::Random => {
                turn.rotated = now;
                self.rotate();
                return Ok(true);
            }
            Origin::File(path) => path,
        };
        let stamp = match files.look(path) {
            Ok(Kind::File(stamp)) => Some(stamp),
            _ => None,
        };
        if stamp.is_some() && stamp == turn.seen || turn.told == Some(stamp) {
            return Ok(false);
        }
        match read(files, path) {
            Ok((ring, stamp)) => {
                self.ring.store(Arc::new(ring));
                turn.seen = Some(stamp);
                turn.told = None;
                Ok(true)
            }
            Err(mistake) => {
                turn.told = Some(stamp);
                Err(mistake)
            }
        }
    }

    /// Makes a new random key; the one before it and the one before that are still accepted. With
    /// keys from a file this does nothing.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn rotate(&self) {
        if matches!(self.origin, Origin::File(_)) {
            return;
        }
        self.ring.rcu(|ring| {
            let kept = ring.0.iter().take(ticket_file::IN_USE - 1);
            let kept = kept.map(|old| Secret { name: old.name, key: old.key.clone() });
            Ring(std::iter::once(Secret::random()).chain(kept).collect())
        });
    }

    /// Makes and reads tickets for listeners with this context.
    pub(super) fn within(self: &Arc<Self>, context: [u8; 32]) -> Arc<dyn ProducesTickets> {
        Arc::new(Within { tickets: self.clone(), context })
    }
}

fn read(files: &dyn Files, path: &std::path::Path) -> Result<(Ring, Stamp), Mistake> {
    let unreadable = |error| Mistake::unreadable(path, &error);
    // Looked at before it is read: what is written in between is found the next time.
    let Kind::File(stamp) = files.look(path).map_err(unreadable)? else {
        return Err(Mistake::new(path, "it is no file", "name the file of ticket keys"));
    };
    let bytes = files.read(path).map_err(unreadable)?;
    let keys = ticket_file::read(path, &bytes)?;
    Ok((Ring(keys.iter().map(|key| Secret::new(key)).collect()), stamp))
}

/// The tickets of listeners that demand the same of their clients.
struct Within {
    tickets: Arc<Tickets>,
    context: [u8; 32],
}

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within")
    }
}

/// Name of the key (16 bytes), salt (16), then what is sealed.
impl ProducesTickets for Within {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let ring = self.tickets.ring.load();
        let secret = ring.0.first()?;
        let mut salt = [0; SALT];
        fill(&mut salt).ok()?;
        let mut sealed = plain.to_vec();
        let key = secret.sealer(&self.context, &salt)?;
        key.seal_in_place_append_tag(nonce(), Aad::from(&secret.name), &mut sealed).ok()?;
        let ticket = [&secret.name[..], &salt, &sealed].concat();
        (ticket.len() <= TICKET_MAX).then_some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_MAX {
            return None;
        }
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (salt, sealed) = rest.split_at_checked(SALT)?;
        let ring = self.tickets.ring.load();
        let secret = ring.0.iter().find(|secret| secret.name == name)?;
        let key = secret.sealer(&self.context, salt)?;
        let mut plain = sealed.to_vec();
        let length = key.open_in_place(nonce(), Aad::from(&secret.name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_outlives_two_rotations() {
        let start = Instant::now();
        let tickets = Tickets::random(start);
        let here = tickets.within([1; 32]);
        let ticket = here.encrypt(b"session").unwrap();
        let host = crate::tls::files::HostFiles;
        assert_eq!(tickets.tend(&host, start + ROTATION / 2), Ok(false));
        for turn in 1..=3_u32 {
            assert_eq!(here.decrypt(&ticket).as_deref(), Some(&b"session"[..]), "turn {turn}");
            assert_eq!(tickets.tend(&host, start + ROTATION * turn), Ok(true));
        }
        assert_eq!(here.decrypt(&ticket), None);
        assert!(here.decrypt(&here.encrypt(b"new").unwrap()).is_some());
        assert!(Duration::from_secs(here.lifetime().into()) <= ROTATION * 2);
    }

    #[test]
    fn a_ticket_is_good_where_the_same_is_demanded() {
        let tickets = Tickets::random(Instant::now());
        let ticket = tickets.within([1; 32]).encrypt(b"session").unwrap();
        assert!(tickets.within([1; 32]).decrypt(&ticket).is_some());
        assert!(tickets.within([2; 32]).decrypt(&ticket).is_none());
        let others = Tickets::random(Instant::now());
        assert!(others.within([1; 32]).decrypt(&ticket).is_none());
    }

    #[test]
    fn a_ticket_that_was_touched_is_none() {
        let here = Tickets::random(Instant::now()).within([1; 32]);
        let ticket = here.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[at] ^= 1;
            assert_eq!(here.decrypt(&touched), None, "byte {at}");
            assert_eq!(here.decrypt(&ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(here.decrypt(&vec![0; TICKET_MAX + 1]), None);
        assert_eq!(here.encrypt(&vec![0; TICKET_MAX]), None);
        assert_ne!(here.encrypt(b"session").unwrap(), ticket, "no two are alike");
    }
}
