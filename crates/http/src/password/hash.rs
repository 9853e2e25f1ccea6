//! Whether a password has a hash.

use super::sha_crypt;
use eclusa_policy::rules::PasswordHash;

/// Whether this is the hash of the password; takes as long as the hash wants it to, whatever comes of
/// it.
pub(super) fn fits(hash: &PasswordHash, password: &[u8]) -> bool {
    match hash {
        // An error: the hash is none after all, as the parser has let it through.
        PasswordHash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        PasswordHash::Sha256(text) => sha_crypt::fits(&sha_crypt::SHA256, text, password),
        PasswordHash::Sha512(text) => sha_crypt::fits(&sha_crypt::SHA512, text, password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that `openssl passwd` and the C library's `crypt` have made.
    const HASHES: [(&str, &str); 8] = [
        ("secret", "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"),
        ("open sesame", "$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"),
        ("secret", "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"),
        (
            "open sesame",
            "$6$saltsalt$e/5XKibXPLqVcfjpD.ouauaJrAOL5V0uo80Lt7n7EbRdRiCx3HbQ90yjOHr.G0T.mx79PEMRy8nmtr0qSYhQp1",
        ),
        (
            "geheim",
            "$6$rounds=1000$abc$ANRQkJSrRPzyQy.CQN1RvZFptMlynBMjyDev5MuarO7NOeuBpFu6soQqwZI..tB3/CTYpfuDcRX0BuD3tvggk/",
        ),
        ("", "$5$rounds=1000$x$kIBhdUvT3pHpfTjzR8s1XJu3y/HRJeFxMSffBtF8jx9"),
        ("grüße", "$5$rounds=77777$anotherlongsalts$0Z.hmRpvZkHM3iAKhfq7zHV5ZxW/XH8uuXML/0pnAg0"),
        (
            // A password and a salt that are longer than a digest, or as long as may be.
            concat!(
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            ),
            "$6$rounds=1000$saltstringsaltst$QOq1PV0fHDc5iaAY0gwyzENFqjOOWPMR4BT4vqtnvFUAwvvI5Jsfhvq81wPML62KXVyowAWUXhR1lX0gmjJRi0",
        ),
    ];

    #[test]
    fn passwords_fit_the_hashes_that_others_have_made() {
        for (password, text) in HASHES {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(fits(&hash, password.as_bytes()), "{text}");
            let others = ["", "Secret", "secret ", "open sesam"];
            for wrong in others.into_iter().filter(|wrong| *wrong != password) {
                assert!(!fits(&hash, wrong.as_bytes()), "{wrong:?} {text}");
            }
        }
    }

    #[test]
    fn a_hash_that_no_password_has_is_no_trouble() {
        for text in [
            format!("$2y$05${}", "a".repeat(53)),
            format!("$5$${}", "x".repeat(43)),
            format!("$6$rounds=7$s${}", "/".repeat(86)),
        ] {
            assert!(!fits(&PasswordHash::parse(&text).unwrap(), b"secret"), "{text}");
        }
    }
}
