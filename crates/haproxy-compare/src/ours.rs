//! The import for the bed: the same addresses moved to loopback as in HAProxy's copy, and nothing that
//! reaches out of it.

use crate::layout::{Layout, Side};
use crate::material::{HASH, Material};
use crate::scratch::Scratch;
use eclusa_config::plan::Program;
use eclusa_haproxy_import::outline::Outline;
use std::net::{IpAddr, SocketAddr};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value, value};

/// Top-level keys that say what the bed has of its own, or has no use for.
const TOP: [&str; 10] = [
    "admin",
    "dashboard",
    "haproxy_socket",
    "lame_duck",
    "log",
    "observe",
    "run_directory",
    "sessions_max",
    "stop_deadline",
    "workers",
];

/// How often endpoints are probed.
const INTERVAL: &str = "300ms";

/// The configuration for the bed.
///
/// # Errors
/// The import wrote what this does not understand.
pub(crate) fn ours(
    program: Program,
    toml: &str,
    (outline, layout): (&Outline, &Layout),
    material: &mut Material<'_>,
    scratch: &Scratch,
) -> Result<String, String> {
    let mut document: DocumentMut =
        toml.parse().map_err(|error| format!("the import is no TOML: {error}"))?;
    for key in TOP {
        document.remove(key);
    }
    let mut work = Work { outline, layout, material };
    document["run_directory"] = value(scratch.path("run").display().to_string());
    document["workers"] = value(1_i64);
    document["log"] = table(&[("sessions", value(false))]);
    let socket = scratch.path("ours.sock").display().to_string();
    document["haproxy_socket"] = table(&[("path", value(socket))]);
    match program {
        Program::Edge => work.edge(&mut document)?,
        Program::Apiserver => work.apiserver(&mut document)?,
    }
    Ok(document.to_string())
}

fn table(pairs: &[(&str, Item)]) -> Item {
    let mut table = Table::new();
    for (name, item) in pairs {
        table.insert(name, item.clone());
    }
    Item::Table(table)
}

struct Work<'w, 'm> {
    outline: &'w Outline,
    layout: &'w Layout,
    material: &'w mut Material<'m>,
}

impl Work<'_, '_> {
    fn edge(&mut self, document: &mut DocumentMut) -> Result<(), String> {
        for (_, listener) in tables(document, "listener") {
            self.listener(listener)?;
        }
        for (name, pool) in tables(document, "pool") {
            let backs = &self.outline.backs;
            let back = backs.iter().position(|back| back.pool.as_deref() == Some(&name));
            let all = pool.get_mut("endpoints").and_then(Item::as_array_mut);
            let (back, all) = match (back, all) {
                (Some(back), Some(all)) => (back, all),
                // It is of no section, and nobody is led there.
                (None, Some(all)) if name == "nowhere" && texts(all) == ["127.0.0.1:1"] => continue,
                // Its endpoints would be those of the file.
                _ => return Err(format!("the pool `{name}` is of no section of haproxy.cfg")),
            };
            self.endpoints(all, |address| {
                let (host, port) = address.rsplit_once(':')?;
                self.layout.place_of(back, host, port.parse().ok()?)
            })?;
            self.pool(pool)?;
        }
        Ok(())
    }

    fn apiserver(&mut self, document: &mut DocumentMut) -> Result<(), String> {
        let ports: Vec<u16> = document
            .get("ports")
            .and_then(Item::as_array)
            .map(|all| all.iter().filter_map(|it| u16::try_from(it.as_integer()?).ok()).collect())
            .unwrap_or_else(|| vec![6443]);
        let moved: Array = ports.iter().map(|port| i64::from(self.layout.port(*port))).collect();
        document["ports"] = value(moved);
        if let Some(all) = document.get_mut("masters").and_then(Item::as_array_mut) {
            let layout = self.layout;
            let find = |host: &str, port: u16| {
                (0..self.outline.backs.len()).find_map(|back| layout.place_of(back, host, port))
            };
            self.endpoints(all, |address| {
                let whole = address.rsplit_once(':').filter(|(host, _)| !host.ends_with(':'));
                let whole = whole.and_then(|(host, port)| find(host, port.parse().ok()?));
                whole.or_else(|| find(address, *ports.first()?))
            })?;
            if ports.len() > 1 {
                // Masters of several ports have none of their own.
                for item in all.iter_mut() {
                    let bare = |text: &str| text.rsplit_once(':').map(|it| it.0.to_owned());
                    if let Some(table) = item.as_inline_table_mut()
                        && let Some(host) =
                            table.get("address").and_then(Value::as_str).and_then(bare)
                    {
                        table.insert("address", host.into());
                    }
                }
            }
        }
        if let Some(all) = document.get_mut("listen").and_then(Item::as_array_mut) {
            let listed: Vec<String> = texts(all);
            let mut now = Array::new();
            for text in listed {
                let whole: Option<SocketAddr> = text.parse().ok();
                let ip: Option<IpAddr> = text.trim_matches(['[', ']']).parse().ok();
                let opened = match (whole, ip, ports.first()) {
                    (Some(address), ..) => self.layout.opened(Side::Ours, address),
                    (None, Some(ip), Some(port)) => {
                        self.layout.opened(Side::Ours, SocketAddr::new(ip, *port))
                    }
                    _ => None,
                };
                match opened {
                    Some(address) if ports.len() > 1 => now.push(address.ip().to_string()),
                    Some(address) => now.push(address.to_string()),
                    // The other family of `[::]`, which HAProxy's copy does not have.
                    None => {}
                }
            }
            *all = now;
        }
        document["proxy_from"] = value("127.0.0.0/8");
        let root = document.as_table_mut();
        self.pool(root)
    }

    fn listener(&mut self, listener: &mut dyn TableLike) -> Result<(), String> {
        let listed = listener.get("listen").map(all_texts).unwrap_or_default();
        let mut now = Array::new();
        for text in &listed {
            let address = text.parse().map_err(|_| format!("`listen = {text}` is no address"))?;
            if let Some(moved) = self.layout.opened(Side::Ours, address) {
                now.push(moved.to_string());
            }
        }
        if now.is_empty() {
            return Err(format!("nothing in haproxy.cfg listens at {}", listed.join(", ")));
        }
        listener.insert("listen", value(now));
        listener.insert("proxy_from", value("127.0.0.0/8"));
        if let Some(tls) = listener.get_mut("tls").and_then(Item::as_table_like_mut) {
            tls.remove("tickets");
            let mut certificates = Array::new();
            for path in tls.get("certificates").map(all_texts).unwrap_or_default() {
                certificates.push(self.material.certificate(&path)?);
            }
            tls.insert("certificates", value(certificates));
            if let Some(path) = tls.get("client_ca").and_then(Item::as_str) {
                let path = self.material.client_ca(path);
                tls.insert("client_ca", value(path));
            }
        }
        for key in ["route", "rule"] {
            let Some(blocks) = listener.get_mut(key).and_then(Item::as_array_of_tables_mut) else {
                continue;
            };
            for block in blocks.iter_mut() {
                self.condition(block);
                if let Some(users) = block.get_mut("basic_auth").and_then(Item::as_table_like_mut) {
                    self.users(users);
                }
            }
        }
        Ok(())
    }

    /// Ports in a condition, and in those inside of it.
    fn condition(&self, condition: &mut dyn TableLike) {
        if let Some(item) = condition.get_mut("port") {
            let moved: Array = numbers(item)
                .into_iter()
                .map(|port| {
                    let known = self.layout.is_port(port);
                    i64::from(if known { self.layout.port(port) } else { 1 })
                })
                .collect();
            *item = value(moved);
        }
        for key in ["when", "not"] {
            if let Some(inner) = condition.get_mut(key).and_then(Item::as_table_like_mut) {
                self.condition(inner);
            }
        }
        for key in ["all", "any"] {
            let Some(list) = condition.get_mut(key).and_then(Item::as_array_mut) else { continue };
            for inner in list.iter_mut().filter_map(Value::as_inline_table_mut) {
                self.condition(inner);
            }
        }
    }

    fn users(&self, table: &mut dyn TableLike) {
        let names: Vec<String> = table
            .get("users")
            .map(all_texts)
            .unwrap_or_default()
            .iter()
            .filter_map(|user| Some(user.split_once(':')?.0.to_owned()))
            .collect();
        // Of a list without any user that can pass nobody can here either.
        let names = if names.is_empty() { vec!["nobody".to_owned()] } else { names };
        let users: Array = names.iter().map(|name| format!("{name}:{HASH}")).collect();
        table.remove("users_file");
        table.insert("users", value(users));
    }

    /// Addresses of endpoints; their names stay what they were.
    fn endpoints(
        &self,
        all: &mut Array,
        place: impl Fn(&str) -> Option<usize>,
    ) -> Result<(), String> {
        for item in all.iter_mut() {
            let (address, name) = match &*item {
                Value::String(text) => (text.value().clone(), None),
                Value::InlineTable(table) => {
                    let text =
                        |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
                    (text("address").unwrap_or_default(), text("name"))
                }
                _ => continue,
            };
            let index = place(&address)
                .ok_or_else(|| format!("no endpoint of haproxy.cfg is at {address}"))?;
            let bed = self.layout.places[index].bed[Side::Ours as usize].to_string();
            if let Value::InlineTable(table) = item {
                table.insert("address", bed.into());
                table.insert("name", name.unwrap_or(address).into());
            } else {
                let mut table = toml_edit::InlineTable::new();
                table.insert("address", bed.into());
                table.insert("name", address.into());
                *item = Value::InlineTable(table);
            }
        }
        Ok(())
    }

    /// What a pool has beside its endpoints: files, sources, and how often it is probed.
    fn pool(&mut self, pool: &mut dyn TableLike) -> Result<(), String> {
        pool.remove("source");
        pool.insert("slow_start", value("0s"));
        if let Some(tls) = pool.get_mut("tls").and_then(Item::as_table_like_mut) {
            if tls.contains_key("ca") {
                tls.insert("ca", value(self.material.ca()));
            }
            for key in ["certificate", "key"] {
                if let Some(path) = tls.get(key).and_then(Item::as_str) {
                    let path = self.material.certificate(path)?;
                    tls.insert(key, value(path));
                }
            }
        }
        if let Some(http) = pool.get_mut("http").and_then(Item::as_table_like_mut) {
            http.remove("sticky_key");
        }
        let is_none = pool.get("probe").is_some_and(|probe| {
            probe.as_table_like().and_then(|it| it.get("kind")).and_then(Item::as_str)
                == Some("none")
        });
        if is_none {
            return Ok(());
        }
        if pool.get("probe").is_none() {
            pool.insert("probe", table(&[]));
        }
        if let Some(probe) = pool.get_mut("probe").and_then(Item::as_table_like_mut) {
            probe.insert("interval", value(INTERVAL));
            probe.insert("fast_interval", value(INTERVAL));
            // Longer than any stall of a busy host: times are not what is compared.
            probe.insert("timeout", value("3s"));
            let kind = probe.get("kind").and_then(Item::as_str).unwrap_or_default();
            if kind.starts_with("http") {
                probe.insert("late_after", value("10s"));
            }
            if probe.contains_key("ca") {
                probe.insert("ca", value(self.material.ca()));
            }
        }
        Ok(())
    }
}

/// The tables below a key, by their names.
fn tables<'d>(
    document: &'d mut DocumentMut,
    key: &str,
) -> impl Iterator<Item = (String, &'d mut dyn TableLike)> {
    let all = document.get_mut(key).and_then(Item::as_table_like_mut);
    all.into_iter().flat_map(|all| {
        all.iter_mut()
            .filter_map(|(name, item)| Some((name.get().to_owned(), item.as_table_like_mut()?)))
    })
}

/// Texts of a list.
fn texts(all: &Array) -> Vec<String> {
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Texts of a list, or the one that stands without brackets.
fn all_texts(item: &Item) -> Vec<String> {
    match item.as_str() {
        Some(text) => vec![text.to_owned()],
        None => item.as_array().map(texts).unwrap_or_default(),
    }
}

fn numbers(item: &Item) -> Vec<u16> {
    let one = |value: &Value| u16::try_from(value.as_integer()?).ok();
    match item.as_value() {
        Some(Value::Array(all)) => all.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{Elsewhere, File, Options, import};

    fn moved(text: &str, program: Program) -> String {
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        let outline = outline(&files, &Options::default());
        let mut random = fastrand::Rng::with_seed(1);
        let layout = Layout::new(&outline, program, &mut random).unwrap();
        let scratch = Scratch::new().unwrap();
        let mut material = Material::new(&scratch).unwrap();
        let toml = import(program, &files, &Options::default(), &Elsewhere).toml;
        let moved = ours(program, &toml, (&outline, &layout), &mut material, &scratch).unwrap();
        let checked = eclusa_config::parse(program, "bed", &moved, eclusa_config::Mode::Offline);
        if let Err(mistakes) = checked {
            panic!("{mistakes}\n{moved}");
        }
        moved
    }

    #[test]
    fn no_address_of_the_file_is_left() {
        let text = "\
global
    stats socket /run/x.sock
defaults
    mode http
frontend web
    bind 10.9.9.1:80
    bind :::443 ssl crt /nowhere/x.pem
    http-request deny if { dst_port 80 } !{ path /a }
    use_backend b if { dst_port 443 }
    default_backend a
backend a
    server one 10.9.9.2:8080 check
    server two web.example.test:8080 check backup
backend b
    balance leastconn
    server 10.9.9.3:9 10.9.9.3:9
";
        let toml = moved(text, Program::Edge);
        for gone in ["10.9.9.1:", "10.9.9.2:", "web.example.test", "/nowhere/", "/run/x.sock"] {
            let lines = toml.lines().filter(|line| !line.starts_with('#'));
            let left: Vec<_> = lines.filter(|line| line.contains(gone)).collect();
            assert!(left.is_empty(), "{gone}: {left:?}");
        }
        assert!(toml.contains("name = \"10.9.9.3:9\"") && !toml.contains("port = [80]"), "{toml}");
        assert_eq!(toml.matches("proxy_from").count(), 2);
    }

    #[test]
    fn a_pool_that_is_of_no_section_is_not_left_as_it_is() {
        let text = "listen a\n bind :80\n server x 10.9.9.1:80\n";
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        let outline = outline(&files, &Options::default());
        let mut random = fastrand::Rng::with_seed(1);
        let layout = Layout::new(&outline, Program::Edge, &mut random).unwrap();
        let scratch = Scratch::new().unwrap();
        let mut material = Material::new(&scratch).unwrap();
        let mut of = |toml: &str| {
            ours(Program::Edge, toml, (&outline, &layout), &mut material, &scratch).map(drop)
        };
        let other = "[pool.other]\nendpoints = [\"10.9.9.1:80\"]\n";
        let told = Err("the pool `other` is of no section of haproxy.cfg".to_owned());
        assert_eq!(of(other), told);
        assert_eq!(of("[pool.other]\n"), told);
        assert_eq!(of("[pool.nowhere]\nendpoints = [\"127.0.0.1:1\"]\n"), Ok(()));
        assert!(of("[pool.nowhere]\nendpoints = [\"10.9.9.1:80\"]\n").is_err());
    }

    #[test]
    fn masters_keep_their_ports_in_common() {
        let text = "\
listen api
    bind *:6443
    balance roundrobin
    server m1 10.9.9.1:6443 check
    server m2 10.9.9.2:6443 check
listen join
    bind *:9345
    balance roundrobin
    server m1 10.9.9.1:9345 check
    server m2 10.9.9.2:9345 check
";
        let toml = moved(text, Program::Apiserver);
        assert!(!toml.contains("10.9.9.") && !toml.contains("6443"), "{toml}");
        let one = text.split("listen join").next().unwrap();
        let toml = moved(one, Program::Apiserver);
        assert!(!toml.contains("10.9.9.") && toml.contains("proxy_from"), "{toml}");
    }
}
