//! Which certificate a handshake shows.

use super::certificate::Certificate;
use super::store::Live;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Finds the certificate in the store of the moment.
pub(super) struct Chooser(pub(super) Live);

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chooser")
    }
}

thread_local! {
    /// What was chosen last on this thread. rustls does not tell which certificate a connection has
    /// shown; it asks the chooser within the call that handles the ClientHello, so whoever makes
    /// that call finds the answer here as soon as it returns.
    static CHOSEN: RefCell<Option<Arc<Certificate>>> = const { RefCell::new(None) };
}

/// Takes what was chosen since the last call of this function on this thread.
pub(super) fn take_chosen() -> Option<Arc<Certificate>> {
    CHOSEN.take()
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let store = self.0.load();
        let mut choices = store.choices(hello.server_name()).peekable();
        // Where none will do rustls says so to the client, by the right alert.
        let first = choices.peek().copied();
        let signs = |choice: &&Arc<Certificate>| {
            choice.certified.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let chosen = choices.find(signs).or(first)?;
        CHOSEN.set(Some(chosen.clone()));
        Some(chosen.certified.clone())
    }
}
