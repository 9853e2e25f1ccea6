//! A candidate's configuration: what its template can ask for, and the files that come of it.

use crate::binaries::Binary;
use crate::certificate;
use crate::failure::{Context, Outcome};
use crate::place::Place;
use crate::stage::Stage;
use crate::template::{Values, Words, fill};
use crate::work::{Form, Work};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Of the hosts of the routes the one that requests name ([`crate::traffic::message::HOST`]): it is
/// the last route, however many there are.
const TAKEN: usize = 19;

/// Where a configuration is for.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Namespaces or loopback.
    pub place: &'a Place,
    /// What candidate and endpoint are to be ready for.
    pub stage: &'a Stage,
    /// The candidate's own directory.
    pub directory: &'a Path,
    /// Descriptors that a process may have here.
    pub descriptors: u64,
}

/// Writes the configuration of `template`, with a list of its hosts beside it, and returns its path.
/// `flavour` is the setup's; `generation` grows with each reload, and every other one has a route more.
///
/// # Errors
/// The template cannot be read or asks for what there is not.
pub fn write(
    template: &Path,
    flavour: Option<&str>,
    binary: &Binary,
    site: Site<'_>,
    generation: usize,
) -> Outcome<PathBuf> {
    let shown = || template.display().to_string();
    let text = fs::read_to_string(template).context(shown)?;
    let values = values(&text, flavour, binary, site, generation)?;
    let file = site.directory.join(template.file_name().unwrap_or_default());
    let filled = fill(&text, &values).context(shown)?;
    fs::write(&file, filled).context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn values(
    text: &str,
    flavour: Option<&str>,
    binary: &Binary,
    site: Site<'_>,
    generation: usize,
) -> Outcome<Values> {
    let Site { place, stage, directory, descriptors } = site;
    let routes = stage.routes + usize::from(generation % 2 == 1);
    let others = (0..).filter(|number| *number != TAKEN).take(routes - 1);
    let others: Vec<_> = others.map(other).collect();
    let endpoints = place.endpoints(stage.endpoints)?;
    let networks: Vec<_> = others.iter().filter_map(|o| o.get("network")).cloned().collect();
    let hosts = directory.join("hosts.map");
    let mut list = format!("app{TAKEN}.example.test bench\n");
    for number in others.iter().filter_map(|other| other.get("number")) {
        let _ = writeln!(list, "app{number}.example.test other");
    }
    fs::write(&hosts, list).context(|| format!("cannot write {}", hosts.display()))?;
    let words = Words::from([
        ("listen", place.listen().to_string()),
        ("endpoint", place.endpoint().to_string()),
        // Apart, for who has no one word for both.
        ("listen_address", place.listen().ip().to_string()),
        ("listen_port", place.listen().port().to_string()),
        ("endpoint_address", place.endpoint().ip().to_string()),
        ("endpoint_port", place.endpoint().port().to_string()),
        ("directory", directory.display().to_string()),
        ("certificate", directory.join(certificate::FILE).display().to_string()),
        ("hosts", hosts.display().to_string()),
        ("networks", networks.join(" ")),
        ("sessions_max", stage.sessions.to_string()),
        ("descriptors", descriptors.to_string()),
        ("workers", stage.workers.to_string()),
        ("nginx_modules", binary.modules.clone()),
    ]);
    let http = stage.http;
    let is = |condition: bool, name: &str| (name.to_owned(), condition);
    let mut conditions = BTreeMap::from([
        is(stage.form == Form::Dressed, "dressed"),
        is(http.is_some_and(|http| http.tls), "tls"),
        is(http.is_some_and(|http| http.streams > 0), "h2"),
        is(http.is_some_and(|http| http.grpc), "grpc"),
        is(stage.work == Work::Websocket, "websocket"),
        is(stage.work == Work::ProxyV2, "proxy"),
        is(stage.work == Work::Passthrough, "passthrough"),
        is(routes > 1, "routed"),
        is(stage.counted, "counted"),
    ]);
    for name in crate::template::setups(text) {
        conditions.insert(name.to_owned(), flavour == Some(name));
    }
    Ok(Values {
        words,
        conditions,
        lists: BTreeMap::from([("other", others), ("endpoint", endpoints)]),
    })
}

/// A route that nobody takes: a host, and a network of the block that RFC 2544 sets aside.
fn other(number: usize) -> Words {
    let address = format!("198.{}.{}.0", 18 + number / 256 % 2, number % 256);
    Words::from([
        ("number", number.to_string()),
        ("network", format!("{address}/24")),
        ("network_address", address),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binaries::Kind;
    use crate::stage::Stage;

    #[test]
    fn routes_are_as_many_as_asked_for_and_one_more_at_every_other_reload() {
        let place = Place::loopback(None).expect("free ports");
        let directory = std::env::temp_dir().join(format!("bench-conf-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let binary = Binary {
            kind: Kind::Nginx,
            path: PathBuf::new(),
            version: String::new(),
            modules: String::new(),
        };
        let stage = Stage { form: Form::Dressed, routes: 20, ..Stage::small(Work::Http) };
        let site = Site { place: &place, stage: &stage, directory: &directory, descriptors: 1000 };
        let others = |generation, flavour| {
            let values = values("{setups big}\n", flavour, &binary, site, generation);
            let values = values.expect("good values");
            (values.lists["other"].len(), values.conditions["big"], values.conditions["dressed"])
        };
        assert_eq!(others(0, None), (19, false, true));
        assert_eq!(others(1, Some("big")), (20, true, true));
        let hosts = fs::read_to_string(directory.join("hosts.map")).expect("a list");
        assert_eq!(hosts.lines().next(), Some("app19.example.test bench"));
        assert_eq!(hosts.lines().count(), 21);
        let _ = fs::remove_dir_all(&directory);
        assert!(crate::traffic::message::HOST.starts_with("app19."));
    }
}
