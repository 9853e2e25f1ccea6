//! TLS: certificates, handshakes with clients, handshakes with endpoints. The only place that knows
//! which TLS library is used (rustls with aws-lc-rs).
//!
//! | | |
//! |---|---|
//! | [`files`] | how files are read: by the keeper where this process may not |
//! | [`store`] | certificates and keys, checked, found by name |
//! | [`watch`] | notices renewed files and swaps the store |
//! | [`tickets`] | keys of session tickets, rotated, shared by all workers and, from a file, by a pair |
//! | [`terminate`] | what a listener offers its clients |
//! | [`accept`] | one handshake with a client |
//! | [`identity`] | who a client with a certificate is |
//! | [`originate`] | TLS to endpoints |
//! | `examine` | what a look at the certificates finds, for `doctor` |
//! | [`failure`] | why there is no session, in words |
//!
//! Nothing here knows listeners, pools or exchanges.

pub mod accept;
mod bundle;
pub mod certificate;
pub(crate) mod examine;
pub mod failure;
pub mod files;
pub mod gate;
pub mod identity;
mod layout;
pub mod mistake;
pub mod names;
pub mod originate;
mod pem;
mod serve;
pub mod store;
pub mod terminate;
mod ticket_file;
pub mod tickets;
pub mod watch;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, OnceLock};

/// The cryptography of this process: the defaults of rustls, among them the hybrid key exchange
/// X25519MLKEM768. Named, not looked up: nothing else of the program may change it.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}
