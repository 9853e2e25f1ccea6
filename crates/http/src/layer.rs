//! Makes the services of a plan: loads certificates, CAs and pages, and says in words what is wrong
//! with them before anything has changed.

use crate::kept::{Kept, Past};
use crate::limit::Limiter;
use crate::origin::Origin;
use crate::password::{Passwords, UserFiles};
use crate::place::Sticky;
use crate::site::{Contents, Http as HttpSite, Pages, PoolSite, Site, Tls};
use crate::tls::files::{Entry, Files, Kind};
use crate::tls::originate::{self, Originator, Trust};
use crate::tls::store::{self, Live, Store};
use crate::tls::terminate::{self, Clients, MinVersion, Terminator};
use crate::tls::tickets::Tickets;
use crate::tls::watch::Watcher;
use aws_lc_rs::rand::fill;
use eclusa_config::plan::{self, Plan};
use eclusa_policy::rules::{Act, Content, Message};
use eclusa_proxy::layer7::{self, Examined, Layer, Service, Services, open};
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// The longest file of a page.
const PAGE_MAX: u64 = 256 << 10;

/// The least bytes of a key of sticky cookies.
const STICKY_KEY: usize = 32;

/// TLS and HTTP for the listeners that ask for them.
#[derive(Debug)]
pub struct Http {
    tickets: Arc<Tickets>,
    passwords: Arc<Passwords>,
    /// Of the sticky cookies of pools that have no key in a file.
    sticky_key: [u8; STICKY_KEY],
    made: Mutex<Made>,
}

/// What was made so far and may still be in use.
#[derive(Debug, Default)]
struct Made {
    /// The certificates of each listener, by its name.
    stores: HashMap<Arc<str>, Live>,
    kept: Past,
}

impl Default for Http {
    fn default() -> Self {
        let tickets = Tickets::random(Instant::now());
        let mut sticky_key = [0; STICKY_KEY];
        #[allow(clippy::expect_used, reason = "without randomness there is no TLS either")]
        fill(&mut sticky_key).expect("the system has randomness");
        Self { tickets, passwords: Arc::default(), sticky_key, made: Mutex::default() }
    }
}

/// Files as the engine may read them: what it may not open itself, its keeper does.
#[derive(Debug)]
pub(crate) struct KeptFiles;

impl Files for KeptFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let most = crate::tls::files::FILE_MAX;
        open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
        }
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        layer7::list(directory)
    }

    fn look(&self, path: &Path) -> io::Result<Kind> {
        layer7::look(path)
    }
}

impl Layer for Http {
    fn prepare(&self, plan: &Plan) -> Result<Services, String> {
        let pools = plan.pools.iter().map(|pool| self.pool_site(pool));
        let pools = pools.collect::<Result<_, _>>()?;
        let (pools, pages) = (Arc::new(pools), Arc::new(pages(plan)?));
        let mut services = Services::new();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stores = HashMap::new();
        let kept = Kept::new(plan, made.kept.newest().as_deref());
        let wanted = plan.listeners.iter().filter(|it| it.tls.is_some() || it.http.is_some());
        for listener in wanted {
            let tls = match &listener.tls {
                None => None,
                Some(tls) => {
                    let known = made.stores.get(&listener.name);
                    let (tls, live) = self.terminate(listener, tls, known)?;
                    stores.insert(listener.name.clone(), live);
                    Some(tls)
                }
            };
            let http = match (&listener.http, kept.limiter(&listener.name)) {
                (Some(http), Some(limiter)) => Some(self.http_site(http, limiter)?),
                _ => None,
            };
            let routes = listener.routes.iter();
            let routes = routes.map(|route| (route.when.clone(), route.target.clone()));
            let site = Arc::new(Site {
                tls,
                http,
                routes: eclusa_policy::route::RouteTable::new(routes),
                pools: Arc::clone(&pools),
                pages: Arc::clone(&pages),
                kept: Arc::clone(&kept),
                passwords: Arc::clone(&self.passwords),
            });
            let service: Arc<dyn Service> = site;
            services.insert(listener.name.clone(), service);
        }
        made.stores.extend(stores);
        made.kept.add(&kept);
        Ok(services)
    }

    fn check(&self, plan: &Plan) -> Result<(), String> {
        Self::default().prepare(plan).map(drop)
    }

    fn examine(&self, plan: &Plan) -> Vec<Examined> {
        crate::tls::examine::examine(&KeptFiles, plan)
    }

    fn look_after(&self, tell: &dyn Fn(&'static str, String)) {
        if let Err(mistake) = self.tickets.tend(&KeptFiles, Instant::now()) {
            tell("certificate", mistake.to_string());
        }
    }
}

impl Http {
    /// The HTTP of a listener, with the files of its fixed answers and of its users.
    fn http_site(&self, http: &plan::Http, limiter: Arc<Limiter>) -> Result<HttpSite, String> {
        let mut contents = Contents::default();
        let mut files = Vec::new();
        for rule in &http.rules {
            match &rule.act {
                Act::Answer(answer) => match &answer.content {
                    Content::Text(_) => {}
                    Content::File(path) => drop(contents.files.insert(path.clone(), page(path)?)),
                    Content::Message(path) => {
                        let message = message(path, answer.status)?;
                        contents.messages.insert(path.clone(), message);
                    }
                },
                Act::Authenticate(basic) => {
                    files.extend(basic.file.as_deref());
                    let started = self.passwords.start();
                    started.map_err(|error| format!("a thread for passwords: {error}"))?;
                }
                _ => {}
            }
        }
        let users = UserFiles::read(&KeptFiles, files.into_iter())?;
        Ok(HttpSite::new(http, contents, users, limiter))
    }

    fn pool_site(&self, pool: &plan::Pool) -> Result<PoolSite, String> {
        let sticky = match (&pool.http.sticky, &pool.http.sticky_key) {
            (None, _) => None,
            (Some(name), None) => Some((name, self.sticky_key.to_vec())),
            (Some(name), Some(path)) => Some((name, sticky_key(pool, path)?)),
        };
        let sticky = sticky.map(|(name, key)| Sticky::new(name.clone(), pool.name.clone(), &key));
        Ok(PoolSite::new(pool, originate(pool)?, sticky))
    }

    fn terminate(
        &self,
        listener: &plan::Listener,
        plan: &plan::Terminate,
        known: Option<&Live>,
    ) -> Result<(Tls, Live), String> {
        let in_words =
            |mistake: &dyn std::fmt::Display| format!("listener {}: {mistake}", listener.name);
        let settings = store::Settings {
            certificates: plan.certificates.clone(),
            default: plan.default.as_deref().map(str::to_owned),
            strict: plan.strict,
        };
        let previous = known.map(|live| live.load_full());
        let loaded = Store::load(&KeptFiles, &settings, previous.as_deref(), SystemTime::now());
        let loaded = loaded.map_err(|mistakes| {
            mistakes.iter().map(|mistake| in_words(mistake)).collect::<Vec<_>>().join("\n")
        })?;
        let live = loaded.store.live();
        let clients = match &plan.client {
            plan::ClientCertificates::Off => Clients::Unasked,
            plan::ClientCertificates::Optional(ca) => Clients::Optional { ca: ca.clone() },
            plan::ClientCertificates::Required(ca) => Clients::Required { ca: ca.clone() },
        };
        let offered = terminate::Settings {
            min_version: min_version(plan.min_version),
            alpn: plan.alpn.iter().map(|name| name.to_string()).collect(),
            clients,
        };
        let shared = plan.tickets.as_ref().map(|path| {
            Tickets::from_file(&KeptFiles, path.clone(), Instant::now())
                .map_err(|mistake| in_words(&mistake))
        });
        let shared = shared.transpose()?;
        let tickets = shared.as_ref().unwrap_or(&self.tickets);
        let terminator = Terminator::new(&KeptFiles, &offered, Arc::clone(&live), tickets)
            .map_err(|mistake| in_words(&mistake))?;
        let watcher =
            Watcher::new(Arc::new(KeptFiles), settings, Arc::clone(&live), Instant::now());
        Ok((Tls::new(plan, terminator, watcher, shared), live))
    }
}

fn originate(pool: &plan::Pool) -> Result<Option<Origin>, String> {
    let tls = pool.tls.as_ref().map(|tls| {
        let settings = originate::Settings {
            trust: tls.ca.clone().map_or(Trust::Anybody, Trust::Bundle),
            server_name: tls.server_name.as_deref().map(str::to_owned),
            client: tls.client.clone(),
            alpn: vec![if pool.http.http2.is_some() { "h2" } else { "http/1.1" }.to_owned()],
            min_version: MinVersion::Tls12,
        };
        Originator::new(&KeptFiles, &settings)
            .map(|originator| Origin::new(originator, tls.server_name.is_some()))
            .map_err(|mistake| format!("pool {}: {mistake}", pool.name))
    });
    tls.transpose()
}

/// The key of sticky cookies that a file holds.
fn sticky_key(pool: &plan::Pool, path: &Path) -> Result<Vec<u8>, String> {
    let told = |what: String| format!("pool {}: {}: {what}", pool.name, path.display());
    let bytes = KeptFiles.read(path).map_err(|error| told(error.to_string()))?;
    if bytes.len() < STICKY_KEY {
        let remedy = "write at least 32 random bytes: `openssl rand -out FILE 32`";
        return Err(told(format!("it has {} bytes, which can be guessed; {remedy}", bytes.len())));
    }
    Ok(bytes)
}

fn min_version(version: plan::TlsVersion) -> MinVersion {
    match version {
        plan::TlsVersion::V12 => MinVersion::Tls12,
        plan::TlsVersion::V13 => MinVersion::Tls13,
    }
}

fn pages(plan: &Plan) -> Result<Pages, String> {
    let mut pages = Pages::new();
    for written in &plan.errors {
        let html = written.html.as_deref().map(page).transpose()?;
        let json = written.json.as_deref().map(page).transpose()?;
        pages.insert(written.status, [html, json]);
    }
    Ok(pages)
}

/// The whole answer that a file has, which is one of this status.
fn message(path: &Path, status: u16) -> Result<Message, String> {
    let told = |what: String| format!("{}: {what}", path.display());
    let message = Message::parse(&page(path)?);
    let message = message.map_err(|why| told(format!("it is no whole answer: {why}")))?;
    if message.status != status {
        return Err(told(format!(
            "it has status {}, and the rule says {status}: write the status that it has into `status`",
            message.status
        )));
    }
    Ok(message)
}

fn page(path: &Path) -> Result<Arc<[u8]>, String> {
    let mut bytes = Vec::new();
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let file = open(path).map_err(told)?;
    file.take(PAGE_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > PAGE_MAX {
        return Err(format!("{}: it is longer than 256 KiB; write a shorter page", path.display()));
    }
    Ok(bytes.into())
}
