//! SHA-256-crypt and SHA-512-crypt, as the C library, `openssl passwd` and `mkpasswd` have them
//! (Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", 2008). Written out here on the digests of
//! aws-lc-rs: a crate for it would bring ten more and a second implementation of SHA-2.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, Algorithm, Context, Digest};

/// Rounds where the hash names none.
const ROUNDS: u32 = 5_000;
/// The fewest; fewer count as so many.
const ROUNDS_MIN: u32 = 1_000;
/// Characters of a salt that count.
const SALT_MAX: usize = 16;
/// Base 64 of `crypt`.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One of the two.
#[derive(Debug)]
pub(super) struct Kind {
    algorithm: &'static Algorithm,
    /// The first three bytes that are written, and which of them goes where in the next three.
    first: [usize; 3],
    turn: [usize; 3],
    /// The bytes that are left over then.
    last: &'static [usize],
}

/// `$5$`
pub(super) static SHA256: Kind =
    Kind { algorithm: &digest::SHA256, first: [0, 10, 20], turn: [2, 0, 1], last: &[31, 30] };
/// `$6$`
pub(super) static SHA512: Kind =
    Kind { algorithm: &digest::SHA512, first: [0, 21, 42], turn: [1, 2, 0], last: &[63] };

/// Whether `text` is the hash of the password.
pub(super) fn fits(kind: &Kind, text: &str, password: &[u8]) -> bool {
    let mut parts = text.split('$').skip(2);
    let (Some(mut salt), Some(mut hash)) = (parts.next(), parts.next()) else { return false };
    let mut rounds = ROUNDS;
    if let Some(written) = salt.strip_prefix("rounds=") {
        rounds = written.parse().unwrap_or(ROUNDS);
        salt = hash;
        hash = parts.next().unwrap_or_default();
    }
    let salt = salt.as_bytes();
    let salt = salt.get(..SALT_MAX).unwrap_or(salt);
    let own = encoded(kind, digest_of(kind, password, salt, rounds.max(ROUNDS_MIN)).as_ref());
    verify_slices_are_equal(&own, hash.as_bytes()).is_ok()
}

/// The digest, by the steps of the specification.
fn digest_of(kind: &Kind, password: &[u8], salt: &[u8], rounds: u32) -> Digest {
    // 4 to 8.
    let other = hash(kind, &[password, salt, password]);
    // 1 to 3, 9 to 12.
    let mut context = Context::new(kind.algorithm);
    context.update(password);
    context.update(salt);
    context.update(&stretched(other.as_ref(), password.len()));
    let mut bits = password.len();
    while bits > 0 {
        context.update(if bits & 1 == 1 { other.as_ref() } else { password });
        bits >>= 1;
    }
    let mut turned = context.finish();
    // 13 to 16: the password in another form.
    let of_password = repeated(kind, password, password.len());
    let long_password = stretched(of_password.as_ref(), password.len());
    // 17 to 20: the salt.
    let times = 16 + usize::from(turned.as_ref().first().copied().unwrap_or_default());
    let of_salt = repeated(kind, salt, times);
    let long_salt = stretched(of_salt.as_ref(), salt.len());
    // 21.
    for round in 0..rounds {
        let mut context = Context::new(kind.algorithm);
        let is_odd = round % 2 == 1;
        context.update(if is_odd { &long_password } else { turned.as_ref() });
        if round % 3 != 0 {
            context.update(&long_salt);
        }
        if round % 7 != 0 {
            context.update(&long_password);
        }
        context.update(if is_odd { turned.as_ref() } else { &long_password });
        turned = context.finish();
    }
    turned
}

fn hash(kind: &Kind, parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(kind.algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// The digest of `bytes`, so many times.
fn repeated(kind: &Kind, bytes: &[u8], times: usize) -> Digest {
    let mut context = Context::new(kind.algorithm);
    (0..times).for_each(|_| context.update(bytes));
    context.finish()
}

/// `bytes` again and again, `length` in all.
fn stretched(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(length).collect()
}

/// The digest as it is written, 22: three bytes each in four digits, in an order of its own.
fn encoded(kind: &Kind, digest: &[u8]) -> Vec<u8> {
    let byte = |place: usize| u32::from(digest.get(place).copied().unwrap_or_default());
    let mut text = Vec::with_capacity(86);
    let mut write = |mut bits: u32, digits: usize| {
        for _ in 0..digits {
            text.push(DIGITS[(bits & 63) as usize]);
            bits >>= 6;
        }
    };
    let mut places = kind.first;
    for _ in 0..digest.len() / 3 {
        write(byte(places[0]) << 16 | byte(places[1]) << 8 | byte(places[2]), 4);
        places = kind.turn.map(|from| places[from] + 1);
    }
    let rest = kind.last.iter().fold(0, |bits, place| bits << 8 | byte(*place));
    write(rest, kind.last.len() + 1);
    text
}
