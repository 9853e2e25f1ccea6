//! What was found out about passwords, for a while.
//!
//! Right ones and wrong ones apart, so that whoever guesses pushes out nobody who has logged in. Both
//! are bounded: two generations of entries; what is asked for moves into the younger, and when that is
//! full the older one is forgotten.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries of a generation.
const GENERATION: usize = 2_048;
/// How long a right password is known. One that is changed or taken away is found wrong at once: the
/// hash that it fits is part of its code.
const RIGHT: Duration = Duration::from_secs(3_600);
/// How long a wrong one is: a client that repeats it costs nothing meanwhile.
const WRONG: Duration = Duration::from_secs(10);

/// The keyed code of a name, its hash and a password.
pub(super) type Tag = [u8; 32];

/// What was found out.
#[derive(Default)]
pub(super) struct Cache {
    right: Mutex<Known>,
    wrong: Mutex<Known>,
}

/// Nothing of it is for a log.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

/// Codes, each with the moment until which it counts.
#[derive(Default)]
struct Known {
    young: HashMap<Tag, Instant>,
    old: HashMap<Tag, Instant>,
}

impl Cache {
    /// Whether the password is right; `None`: nobody knows.
    pub(super) fn get(&self, tag: &Tag, now: Instant) -> Option<bool> {
        // Each is held for a look-up, and for that alone.
        let in_it = |known: &Mutex<Known>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).get(tag, now)
        };
        if in_it(&self.right) {
            return Some(true);
        }
        in_it(&self.wrong).then_some(false)
    }

    /// Remembers it.
    pub(super) fn put(&self, tag: Tag, right: bool, now: Instant) {
        let (known, life) = if right { (&self.right, RIGHT) } else { (&self.wrong, WRONG) };
        known.lock().unwrap_or_else(PoisonError::into_inner).put(tag, now + life);
    }
}

impl Known {
    fn get(&mut self, tag: &Tag, now: Instant) -> bool {
        if let Some(until) = self.young.get(tag) {
            return now < *until;
        }
        match self.old.remove(tag) {
            Some(until) if now < until => {
                self.put(*tag, until);
                true
            }
            _ => false,
        }
    }

    fn put(&mut self, tag: Tag, until: Instant) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&tag) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tag, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: u32) -> Tag {
        let bytes = number.to_le_bytes();
        std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(0))
    }

    #[test]
    fn entries_have_their_time() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(tag(1), true, now);
        cache.put(tag(2), false, now);
        let soon = now + WRONG - Duration::from_millis(1);
        assert_eq!((cache.get(&tag(1), soon), cache.get(&tag(2), soon)), (Some(true), Some(false)));
        assert_eq!(cache.get(&tag(2), now + WRONG), None);
        assert_eq!(cache.get(&tag(1), now + RIGHT - WRONG), Some(true));
        assert_eq!(cache.get(&tag(1), now + RIGHT), None);
        assert_eq!(cache.get(&tag(3), now), None);
    }

    #[test]
    fn guesses_push_out_nobody_who_has_logged_in() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(tag(0), true, now);
        for number in 1..100_000 {
            cache.put(tag(number), false, now);
        }
        assert_eq!(cache.get(&tag(0), now), Some(true));
        let wrong = cache.wrong.lock().unwrap();
        assert!(wrong.young.len() + wrong.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn those_that_are_asked_for_stay() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(tag(0), true, now);
        for number in 1..20_000 {
            cache.put(tag(number), true, now);
            if number % 1_000 == 0 {
                assert_eq!(cache.get(&tag(0), now), Some(true), "{number}");
            }
        }
        assert_eq!(cache.get(&tag(1), now), None);
    }
}
