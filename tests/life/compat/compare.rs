//! What public clients read, field by field beside `status --json`.

use serde_json::Value;
use std::time::SystemTime;

/// What came of it.
pub(super) struct Compared {
    /// Fields that were compared.
    pub(super) fields: usize,
    /// Those that differ.
    pub(super) wrong: Vec<String>,
    /// hatop was among the readers.
    pub(super) hatop: bool,
}

impl Compared {
    /// Takes in what came of another round.
    pub(super) fn add(&mut self, other: Self) {
        self.fields += other.fields;
        self.wrong.extend(other.wrong);
    }

    fn field(&mut self, of: &str, read: &Value, is: &Value) {
        self.fields += 1;
        if read != is {
            self.wrong.push(format!("{of}: {read}, status has {is}"));
        }
    }

    /// A figure that grows by itself while somebody reads.
    fn age(&mut self, of: &str, read: &Value, seconds: u64) {
        self.fields += 1;
        let read = read.as_u64().unwrap_or(u64::MAX);
        // The reader takes some seconds on a busy machine; `since` is cut to the second.
        if read > seconds + 20 || read + 2 < seconds {
            self.wrong.push(format!("{of}: {read} s, status has {seconds} s"));
        }
    }
}

/// HAProxy's word for an endpoint of a pool that is probed.
fn word(endpoint: &Value) -> Value {
    let (admin, verdict) = (&endpoint["admin"]["state"], endpoint["verdict"].as_str().unwrap());
    let word = match (admin.as_str().unwrap(), verdict) {
        ("maint", _) => "MAINT",
        ("drain", _) => "DRAIN",
        (_, "dead") => "DOWN",
        (_, "draining") => "NOLB",
        (_, "unknown" | "suspect") => "UP 1/3",
        _ => "UP",
    };
    word.into()
}

fn age(endpoint: &Value, at: &Value) -> u64 {
    let moment = |text: &Value| humantime::parse_rfc3339(text.as_str().unwrap()).unwrap();
    let (at, since): (SystemTime, SystemTime) = (moment(at), moment(&endpoint["since"]));
    at.duration_since(since).unwrap_or_default().as_secs()
}

/// Rows of the table that are about `pool` and `name`.
fn row<'a>(rows: &'a Value, pool: &Value, name: &Value) -> &'a Value {
    let rows = rows.as_array().unwrap();
    let found = rows.iter().find(|row| row["pxname"] == *pool && row["svname"] == *name);
    found.unwrap_or_else(|| panic!("no row {pool} {name}"))
}

/// A sample of the exporter's names.
fn sample(metrics: &str, name: &str) -> Value {
    let value =
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    value.map_or(Value::Null, Value::from)
}

pub(super) fn compare(status: &Value, read: &Value, metrics: &str) -> Compared {
    let hatop = read.get("hatop").is_some();
    let mut compared = Compared { fields: 0, wrong: Vec::new(), hatop };
    for listener in status["listeners"].as_array().unwrap() {
        frontend(&mut compared, listener, read, metrics);
    }
    for pool in status["pools"].as_array().unwrap() {
        backend(&mut compared, pool, read, metrics);
        for endpoint in pool["endpoints"].as_array().unwrap() {
            let at = &status["at"];
            server(&mut compared, (endpoint, at), (&pool["name"], read), metrics);
        }
    }
    if hatop {
        let info = &read["hatop"]["info"];
        compared.field("hatop pid", &info["pid"], &status["pid"].to_string().into());
        let sessions = status["workers"].as_array().unwrap().iter();
        let sessions: u64 = sessions.map(|worker| worker["sessions"].as_u64().unwrap()).sum();
        compared.field("hatop curconn", &info["curconn"], &sessions.to_string().into());
    }
    compared
}

fn frontend(compared: &mut Compared, listener: &Value, read: &Value, metrics: &str) {
    let name = listener["name"].as_str().unwrap();
    let sessions = &listener["sessions"];
    let told = &read["haproxyadmin"]["frontends"][name];
    compared.field(&format!("haproxyadmin {name} scur"), &told["scur"], sessions);
    compared.field(&format!("haproxyadmin {name} status"), &told["status"], &"OPEN".into());
    let of_table = row(&read["csv"], &listener["name"], &"FRONTEND".into());
    compared.field(&format!("csv {name} scur"), &of_table["scur"], sessions);
    let metric = format!("haproxy_frontend_current_sessions{{proxy=\"{name}\"}}");
    compared.field(&metric, &sample(metrics, &metric), sessions);
}

fn backend(compared: &mut Compared, pool: &Value, read: &Value, metrics: &str) {
    let name = pool["name"].as_str().unwrap();
    let endpoints = pool["endpoints"].as_array().unwrap();
    let sum =
        |key: &str| Value::from(endpoints.iter().map(|it| it[key].as_u64().unwrap()).sum::<u64>());
    let up = |backup: bool| {
        let is = move |it: &&Value| {
            word(it).as_str().unwrap().starts_with("UP")
                && it["backup"].as_bool().unwrap_or_default() == backup
        };
        endpoints.iter().filter(is)
    };
    let weight = |backup| up(backup).map(|it| it["weight"].as_u64().unwrap()).sum::<u64>();
    let (active, backups) = (up(false).count(), up(true).count());
    let fine = if pool["availability"] == "nobody" { "DOWN" } else { "UP" };
    let expected = [
        ("qcur", pool["queued"].clone(), "current_queue"),
        ("scur", sum("sessions"), "current_sessions"),
        ("econ", sum("failures"), "connection_errors_total"),
        ("act", active.into(), "active_servers"),
        ("bck", backups.into(), "backup_servers"),
    ];
    let told = &read["haproxyadmin"]["backends"][name];
    let of_table = row(&read["csv"], &pool["name"], &"BACKEND".into());
    for (key, is, metric) in expected {
        compared.field(&format!("haproxyadmin {name} {key}"), &told[key], &is);
        compared.field(&format!("csv {name} {key}"), &of_table[key], &is);
        let metric = format!("haproxy_backend_{metric}{{proxy=\"{name}\"}}");
        compared.field(&metric, &sample(metrics, &metric), &is);
    }
    compared.field(&format!("haproxyadmin {name} status"), &told["status"], &fine.into());
    let sum = Value::from(weight(active == 0));
    compared.field(&format!("csv {name} weight"), &of_table["weight"], &sum);
}

fn server(
    compared: &mut Compared,
    (endpoint, at): (&Value, &Value),
    (pool, read): (&Value, &Value),
    metrics: &str,
) {
    let name = endpoint["name"].as_str().unwrap();
    let status = word(endpoint);
    let backup = endpoint["backup"].as_bool().unwrap_or_default();
    let expected = [
        ("scur", endpoint["sessions"].clone(), "current_sessions"),
        ("weight", endpoint["weight"].clone(), "weight"),
        ("econ", endpoint["failures"].clone(), "connection_errors_total"),
        ("act", u64::from(!backup).into(), ""),
        ("bck", u64::from(backup).into(), ""),
        ("status", status.clone(), ""),
    ];
    let told = &read["haproxyadmin"]["backends"][pool.as_str().unwrap()]["servers"][name];
    let of_table = row(&read["csv"], pool, &endpoint["name"]);
    let labels = format!("{{proxy={pool},server=\"{name}\"");
    for (key, is, metric) in expected {
        compared.field(&format!("haproxyadmin {name} {key}"), &told[key], &is);
        compared.field(&format!("csv {name} {key}"), &of_table[key], &is);
        if !metric.is_empty() {
            let metric = format!("haproxy_server_{metric}{labels}}}");
            compared.field(&metric, &sample(metrics, &metric), &is);
        }
        if compared.hatop {
            let of_hatop = row(&read["hatop"]["rows"], pool, &endpoint["name"]);
            compared.field(&format!("hatop {name} {key}"), &of_hatop[key], &is);
        }
    }
    let address =
        format!("{}:{}", told["address"].as_str().unwrap(), told["port"].as_str().unwrap());
    compared.field(&format!("haproxyadmin {name} address"), &address.into(), &endpoint["address"]);
    compared.field(&format!("csv {name} addr"), &of_table["addr"], &endpoint["address"]);
    let why = endpoint["why"].as_str().unwrap().replace(',', ";");
    compared.field(&format!("csv {name} check_desc"), &of_table["check_desc"], &why.into());
    let checked = if endpoint["verdict"] == "dead" { "L4CON" } else { "L4OK" };
    compared.field(&format!("csv {name} check_status"), &of_table["check_status"], &checked.into());
    compared.age(&format!("csv {name} lastchg"), &of_table["lastchg"], age(endpoint, at));
    let state = match status.as_str().unwrap() {
        "UP 1/3" => "UP",
        other => other,
    };
    for word in ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"] {
        let metric = format!("haproxy_server_status{labels},state=\"{word}\"}}");
        let is = u64::from(word == state).into();
        compared.field(&metric, &sample(metrics, &metric), &is);
    }
}
