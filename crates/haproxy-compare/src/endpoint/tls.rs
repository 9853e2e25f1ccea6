//! TLS of endpoints: each name gets a certificate of its own, made when it is asked for.

use super::lock;
use crate::certificate::Authority;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The most names that get one.
const NAMES_MAX: usize = 1_000;

/// Certificates that endpoints show.
pub(crate) struct Presented {
    config: Arc<ServerConfig>,
}

struct Resolver {
    authority: Arc<Authority>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Presented {
    /// Those that an authority signs.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new(authority: &Arc<Authority>) -> Result<Self, String> {
        let resolver = Resolver { authority: Arc::clone(authority), made: Mutex::default() };
        let builder = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
        let config = builder
            .with_protocol_versions(&[&version::TLS12, &version::TLS13])
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("endpoint.test").to_owned();
        let mut made = lock(&self.made);
        if let Some(known) = made.get(&name) {
            return Some(Arc::clone(known));
        }
        if made.len() >= NAMES_MAX {
            return None;
        }
        let issued = self.authority.issue(std::slice::from_ref(&name)).ok()?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key));
        let key = aws_lc_rs::sign::any_supported_type(&key).ok()?;
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(issued.der)], key));
        made.insert(name, Arc::clone(&certified));
        Some(certified)
    }
}
