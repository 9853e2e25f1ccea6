//! The configuration files of all these reloads, each different from the one before it.

use std::path::{Path, PathBuf};

/// Where the nodes come in; it stays, its pool loses an endpoint and gets it back.
pub const NODES: u16 = 6443;
/// The listener whose pool changes with every reload.
pub const MOVING: u16 = 7443;
/// The listener in front of a pool with limits.
pub const TIGHT: u16 = 7001;
/// The listener that comes and goes, and its pool with it.
pub const GUEST: u16 = 7002;

const BALANCES: [&str; 5] =
    ["two-choices", "round-robin", "least-connections", "source-hash", "first"];

/// What all files have in common.
#[derive(Debug)]
pub struct File {
    /// The CA of the masters.
    pub ca: PathBuf,
}

impl File {
    /// The file of reload `number`; 0: that of the start.
    #[must_use]
    pub fn text(&self, number: usize) -> String {
        [listeners(number), self.masters(number), others(number), guest(number)].concat()
    }

    /// Weights, limit, balance and probe change, the fourth comes and goes.
    fn masters(&self, number: usize) -> String {
        let count = if number.is_multiple_of(2) { 4 } else { 3 };
        let master = |index: usize| {
            let (weight, name) = (1 + (number + index) % 3, format!("master{index}"));
            format!(
                "  {{ address = \"10.0.0.1{index}:6443\", weight = {weight}, name = \"{name}\" }},\n"
            )
        };
        let endpoints: String = (1..=count).map(master).collect();
        let (balance, limit) = (BALANCES[number % 5], 200 + number % 2);
        let (interval, fall) = ([900, 1000][number / 3 % 2], 2 + number / 2 % 2);
        format!(
            "[pool.masters]\nbalance = \"{balance}\"\nslow_start = \"0s\"\nfail_open = true\n\
             endpoint_sessions_max = {limit}\nendpoints = [\n{endpoints}]\n\
             [pool.masters.probe]\nkind = \"https\"\npath = \"/readyz\"\nlive_path = \"/livez\"\n\
             interval = \"{interval}ms\"\nfall = {fall}\nserver_name = \"kubernetes\"\n\
             ca = \"{}\"\n\n",
            self.ca.display()
        )
    }
}

/// The listeners that stay, with settings that change.
fn listeners(number: usize) -> String {
    let ([default, route], odd) = (moving(number), number % 2);
    // As patient as the clients.
    let preamble = format!("preamble_timeout = \"{}s\"\n", 30 + odd);
    format!(
        "workers = 2\nstop_deadline = \"{}s\"\n\n\
         [listener.nodes]\nlisten = [\"192.168.1.2:{NODES}\"]\npool = \"masters\"\n\
         backlog = {}\ndeny = [\"198.51.100.{odd}/32\"]\n{preamble}\n\
         [listener.moving]\nlisten = [\"192.168.1.2:{MOVING}\"]\npeek = \"tls\"\n\
         pool = \"{default}\"\n{preamble}\
         [[listener.moving.route]]\nsource = [\"203.0.113.12\"]\npool = \"{route}\"\n\n\
         [listener.tight]\nlisten = [\"192.168.1.2:{TIGHT}\"]\npeek = \"none\"\n\
         pool = \"tight\"\nhalf_closed_timeout = \"{}s\"\n\n",
        25 + odd,
        1024 << odd,
        30 + odd,
    )
}

/// Pools in which limits, balance and the kind of the probe change.
fn others(number: usize) -> String {
    let limited = |limit: Option<usize>| {
        limit.map_or(String::new(), |limit| {
            format!("endpoint_sessions_max = {limit}\nqueue = {}\n", 100 + number % 2)
        })
    };
    let blue = limited([None, Some(50), Some(60)][number % 3]);
    let tight = limited([Some(1), None, Some(3)][number % 3]);
    let probe = ["kind = \"tls\"", "kind = \"tcp\"", "kind = \"https\", path = \"/readyz\""];
    let (probe, balance) = (probe[number / 2 % 3], BALANCES[(number + 2) % 5]);
    format!(
        "[pool.blue]\nbalance = \"{balance}\"\nslow_start = \"0s\"\n{blue}\
         endpoints = [\"10.0.0.11:6443\", \"10.0.0.12:6443\"]\nprobe = {{ {probe} }}\n\n\
         [pool.green]\nendpoints = [{{ address = \"10.0.0.13:6443\", weight = 2 }}]\n\n\
         [pool.tight]\nendpoints = [\"10.0.1.100:{TIGHT}\"]\n{tight}probe = {{ kind = \"none\" }}\n\n"
    )
}

fn guest(number: usize) -> String {
    if !has_guest(number) {
        return String::new();
    }
    let endpoints = match number % 4 {
        1 => format!("\"10.0.1.100:{GUEST}\", \"10.0.1.101:{GUEST}\""),
        _ => format!("\"10.0.1.100:{GUEST}\""),
    };
    format!(
        "[listener.guest]\nlisten = [\"192.168.1.2:{GUEST}\"]\npeek = \"none\"\npool = \"guest\"\n\
         [pool.guest]\nendpoints = [{endpoints}]\nprobe = {{ kind = \"none\" }}\n\n"
    )
}

/// Whether the listener that comes and goes is there: for two reloads of four.
#[must_use]
pub fn has_guest(number: usize) -> bool {
    matches!(number % 4, 1 | 2)
}

/// Where the moving listener sends the clients of outside1, and those of outside2.
#[must_use]
pub fn moving(number: usize) -> [&'static str; 2] {
    if number.is_multiple_of(2) { ["blue", "green"] } else { ["green", "blue"] }
}

/// Whether a master is an endpoint of one of these two pools.
#[must_use]
pub fn is_in(pool: &str, master: &str) -> bool {
    (pool == "green") == (master == "master3") && master != "master4"
}

/// Changes of which the reload to `number` must tell, among others.
#[must_use]
pub fn changes(number: usize) -> Vec<String> {
    let fourth = if number.is_multiple_of(2) { "added" } else { "removed" };
    let guest = [
        None,
        Some("listener guest: added".to_owned()),
        Some(format!("pool guest: endpoint 10.0.1.101:{GUEST} removed")),
        Some("listener guest: removed".to_owned()),
    ];
    let mut changes = vec![
        format!("pool masters: endpoint master4 (10.0.0.14:6443) {fourth}"),
        "listener moving: routes changed".to_owned(),
    ];
    changes.extend(guest[number % 4].clone());
    changes
}

/// Puts a file in place: by turn written over the old one, and as a new one that takes its name.
pub fn write(path: &Path, text: &[u8], number: usize) {
    let fresh = path.with_extension("new");
    let target = if number.is_multiple_of(2) { path } else { &fresh };
    std::fs::write(target, text).unwrap();
    if target == fresh {
        std::fs::rename(fresh, path).unwrap();
    }
}
