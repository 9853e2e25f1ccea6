//! The balancer: the engine of eclusa-apiserver, in this process.

use eclusa_config::Mode;
use eclusa_config::plan::Program;
use eclusa_proxy::engine::Engine;
use eclusa_testkit::free_port;
use eclusa_testkit::process::Scratch;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The port that the world knows for an apiserver.
const WELL_KNOWN: u16 = 6443;

/// The running engine; stopped when dropped.
pub(crate) struct Balancer {
    engine: Option<Engine>,
    address: SocketAddr,
    file: PathBuf,
    log: PathBuf,
}

/// What the balancer knows of a master.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) name: String,
    pub(crate) verdict: &'static str,
    /// Sessions on it now.
    pub(crate) sessions: u32,
}

impl Balancer {
    /// Starts it in front of `masters`, with its log and locks in `directory`.
    pub(crate) fn start(
        masters: &[(String, SocketAddr)],
        port: Option<u16>,
        directory: &Scratch,
    ) -> Result<Self, String> {
        let first = Self::start_on(masters, port.unwrap_or_else(usual_port), directory);
        if first.is_err() && port.is_none() {
            // Another demo may have taken the usual port in this very moment.
            return Self::start_on(masters, free_port(), directory);
        }
        first
    }

    fn start_on(
        masters: &[(String, SocketAddr)],
        port: u16,
        directory: &Scratch,
    ) -> Result<Self, String> {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let log = directory.path().join("eclusa.log");
        let text = configuration(address, masters, &log, directory.path());
        let file = directory.write("apiserver.toml", &text);
        let file = file.map_err(|error| format!("cannot write the configuration: {error}"))?;
        // As the program itself would read its file.
        let loaded = eclusa_config::load(Program::Apiserver, &file, Mode::Start)
            .map_err(|mistakes| mistakes.to_string())?;
        let engine = Engine::start(&loaded.plan).map_err(|error| error.to_string())?;
        Ok(Self { engine: Some(engine), address, file, log })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its configuration.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The masters, as the balancer sees them now.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let pools = self.engine.as_ref().map(|engine| engine.status().pools).unwrap_or_default();
        let endpoints = pools.iter().flat_map(|pool| pool.endpoints().to_vec());
        endpoints
            .map(|endpoint| Share {
                name: endpoint.name().to_string(),
                verdict: endpoint.report().verdict.name(),
                sessions: endpoint.sessions(),
            })
            .collect()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop(|| true);
        }
    }
}

/// The well-known port, or a free one where somebody has that.
fn usual_port() -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, WELL_KNOWN));
    if bound.is_ok() { WELL_KNOWN } else { free_port() }
}

/// What would stand in `/etc/eclusa/apiserver.toml`: the masters, and what keeps the demo in its
/// corner of this machine. All else is the default.
fn configuration(
    listen: SocketAddr,
    masters: &[(String, SocketAddr)],
    log: &Path,
    directory: &Path,
) -> String {
    let mut text = "masters = [\n".to_owned();
    for (name, address) in masters {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {{ name = \"{name}\", address = \"{address}\" }},");
    }
    let _ = write!(
        text,
        "]\nlisten = [\"{listen}\"]\nrun_directory = \"{}\"\n\n[log]\ntarget = \"{}\"\n",
        directory.display(),
        log.display()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_one_that_the_program_takes() {
        let master =
            |n: u8| (format!("master{n}"), SocketAddr::from(([127, 0, 0, 1], 7000 + u16::from(n))));
        let masters = [master(1), master(2), master(3)];
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
        let text = configuration(listen, &masters, Path::new("/x/log"), Path::new("/x"));
        let loaded = eclusa_config::parse(Program::Apiserver, "demo", &text, Mode::Offline)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(loaded.plan.pools[0].endpoints.len(), 3);
        assert_eq!(loaded.plan.listeners[0].addresses[0].address, listen);
    }
}
