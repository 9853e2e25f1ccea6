//! The words of the field: what means three things in it is no identifier here.

use super::{Problem, Tree, is_product};

/// Words that are no identifiers, with the word to use.
const FORBIDDEN: [(&str, &str); 3] =
    [("backend", "pool or endpoint"), ("server", "endpoint or upstream"), ("frontend", "listener")];

/// Identifiers that have a forbidden word in them because somebody else named them.
const FOREIGN: [(&str, &str); 9] = [
    ("ServerCertVerified", "rustls: the proof that a certificate was checked"),
    ("ServerCertVerifier", "rustls: the trait that checks certificates"),
    ("verify_server_cert", "rustls: its method"),
    ("ServerConfig", "rustls: the accepting side's configuration"),
    ("ServerConnection", "rustls: the accepting side of a connection"),
    ("ResolvesServerCert", "rustls: the trait that chooses a certificate"),
    ("NoServerSessionStorage", "rustls: no sessions are kept on the accepting side"),
    ("ServerDoesNotSupportTls12Or13", "rustls: one of its reasons"),
    ("ServerTlsVersionIsDisabledByOurConfig", "rustls: one of its reasons"),
];

/// Modules of others with a forbidden word in their path: a line that names one may say it.
const FOREIGN_PATHS: [(&str, &str); 4] = [
    ("h2::server::", "h2: its accepting side"),
    ("hyper::server::", "hyper: its accepting side"),
    ("tokio_rustls::server::", "tokio-rustls: its accepting side"),
    ("rustls::server::", "rustls: its accepting side"),
];

/// Checks the crates that ship; their tests may talk as they like.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in tree.sources.iter().filter(|(file, _)| is_product(&file.path)) {
        for token in source.product_tokens() {
            if FOREIGN.iter().any(|(name, _)| *name == token.text) {
                continue;
            }
            let line = file.text.lines().nth(token.line.saturating_sub(1)).unwrap_or_default();
            if FOREIGN_PATHS.iter().any(|(path, _)| line.contains(path)) {
                continue;
            }
            // Server name is the term of RFC 6066, of TLS libraries and of our key.
            let text = token.text.to_lowercase();
            if text.contains("server_name") || text.contains("servername") {
                continue;
            }
            let parts = parts(&token.text);
            let forbidden = FORBIDDEN.iter().find(|(word, _)| {
                parts.iter().any(|part| part.strip_suffix('s').unwrap_or(part) == *word)
            });
            if let Some((word, instead)) = forbidden {
                problems.push(Problem {
                    path: file.path.clone(),
                    line: token.line,
                    what: format!("`{}` says `{word}`; say {instead}", token.text),
                    why: "one word per thing, so that a search finds all of it",
                    remedy: "rename it, or add a name that another crate forces on us to FOREIGN in \
                             xtask/src/tidy/words.rs with its reason",
                });
            }
        }
    }
    problems
}

/// The words in an identifier, in lower case: `apiServer_name` has three.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_small = false;
    for char in identifier.chars() {
        if char == '_' || (char.is_uppercase() && after_small) {
            parts.push(String::new());
        }
        if char != '_'
            && let Some(part) = parts.last_mut()
        {
            part.extend(char.to_lowercase());
        }
        after_small = char.is_lowercase();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("crates/proxy/src/a.rs", text), ("crates/testkit/src/a.rs", text)]))
    }

    #[test]
    fn synonyms_are_found() {
        only(&found("\nlet backend = 1;"), 2, "`backend` says `backend`");
        only(&found("struct HttpServer;"), 1, "say endpoint");
        only(&found("fn pick_servers() {}"), 1, "pick_servers");
        only(&found("use a::FrontendTable;"), 1, "say listener");
    }

    #[test]
    fn comments_strings_foreign_names_and_tests_may_say_them() {
        assert_eq!(found("// a backend\nlet a = \"server\"; let apiserver = observer;"), []);
        assert_eq!(found("use hyper::server::conn::http1;"), []);
        assert_eq!(found("use rustls::ServerName; let server_name = PROBE_SERVER_NAME;"), []);
        assert_eq!(found("#[cfg(test)]\nmod tests { let server = 1; }"), []);
    }
}
