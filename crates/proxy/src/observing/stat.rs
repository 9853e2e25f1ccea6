//! What HAProxy says of its endpoints: its table (`show stat`, `/stats;csv`; management guide, section
//! 9.1), and the addresses in `show servers state` (section 9.3).

use super::compare::Said;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Bytes of a table that are read at most: some 40,000 rows.
pub(super) const TABLE_MAX: usize = 16 << 20;
/// The number of this kind of row in column `type`.
const ENDPOINT: &str = "2";

/// A row about one of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The section that it stands in, and its name there.
    pub(super) pxname: String,
    pub(super) svname: String,
    /// Where it is, where HAProxy tells.
    pub(super) address: Option<SocketAddr>,
    pub(super) said: Said,
    /// Its status with the result of the last check: `DOWN, L4CON`.
    pub(super) words: String,
    /// Since when it has this status, to the second below.
    pub(super) since: Option<Duration>,
    /// How often it went from up to down since HAProxy began.
    pub(super) falls: u64,
    /// Sessions on it at this moment.
    pub(super) sessions: u64,
}

impl Row {
    /// What a reader of haproxy.cfg knows it by.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.pxname, self.svname)
    }
}

/// The rows about endpoints.
///
/// # Errors
/// The text is no such table, or breaks off.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let head = lines.next().map(|(_, line)| line).unwrap_or_default();
    let Some(head) = head.strip_prefix("# ") else {
        return Err(format!("no table of HAProxy's: it begins with `{}`", cut(head, 60)));
    };
    let columns = Columns::of(&cells(head))?;
    let mut rows = Vec::new();
    for (index, line) in lines {
        let cells = cells(line);
        if cells.len() < columns.count {
            let (count, got) = (columns.count, cells.len());
            return Err(format!("line {} has {got} cells instead of {count}", index + 1));
        }
        rows.extend(columns.row(&cells));
    }
    Ok(rows)
}

/// Where the columns are; HAProxy's versions have them in different places.
struct Columns {
    count: usize,
    pxname: usize,
    svname: usize,
    status: usize,
    kind: Option<usize>,
    address: Option<usize>,
    check: Option<usize>,
    code: Option<usize>,
    since: Option<usize>,
    falls: Option<usize>,
    sessions: Option<usize>,
}

impl Columns {
    fn of(head: &[String]) -> Result<Self, String> {
        let place = |name: &str| head.iter().position(|cell| cell == name);
        let needed = |name: &str| {
            place(name)
                .ok_or_else(|| format!("no table of HAProxy's: no column is called `{name}`"))
        };
        Ok(Self {
            // A comma stands behind the last one, in most versions.
            count: head.len() - usize::from(head.last().is_some_and(String::is_empty)),
            pxname: needed("pxname")?,
            svname: needed("svname")?,
            status: needed("status")?,
            kind: place("type"),
            address: place("addr"),
            check: place("check_status"),
            code: place("check_code"),
            since: place("lastchg"),
            falls: place("chkdown"),
            sessions: place("scur"),
        })
    }

    /// `None`: it is about something else than an endpoint.
    fn row(&self, cells: &[String]) -> Option<Row> {
        let cell = |place: Option<usize>| {
            place.and_then(|place| cells.get(place)).map_or("", String::as_str)
        };
        let number = |place| cell(place).parse::<u64>().ok();
        let (pxname, svname) = (cell(Some(self.pxname)), cell(Some(self.svname)));
        let is_endpoint = match self.kind {
            Some(_) => cell(self.kind) == ENDPOINT,
            None => !matches!(svname, "FRONTEND" | "BACKEND"),
        };
        let status = cell(Some(self.status));
        is_endpoint.then(|| Row {
            pxname: pxname.to_owned(),
            svname: svname.to_owned(),
            address: cell(self.address).parse().ok(),
            said: said(status),
            words: words(status, cell(self.check), cell(self.code)),
            since: number(self.since).map(Duration::from_secs),
            falls: number(self.falls).unwrap_or(0),
            sessions: number(self.sessions).unwrap_or(0),
        })
    }
}

/// What a status means for new sessions. What the operator of HAProxy wants (`MAINT`, `DRAIN`) is no
/// verdict, and `no check` is none either.
fn said(status: &str) -> Said {
    match status {
        "MAINT (resolution)" | "DRAIN (agent)" => Said::Out,
        _ if status.starts_with("UP") => Said::In,
        _ if status.starts_with("DOWN") || status.starts_with("NOLB") => Said::Out,
        _ => Said::Nothing,
    }
}

fn words(status: &str, check: &str, code: &str) -> String {
    let mut words = cut(status, 60).to_owned();
    // A `*` before it: the check is under way.
    let check = check.trim_start_matches("* ");
    if !check.is_empty() {
        words.push_str(", ");
        words.push_str(cut(check, 20));
    }
    if !code.is_empty() && code != "0" {
        words.push('/');
        words.push_str(cut(code, 10));
    }
    words
}

/// At most so many bytes of a text.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The cells of a line (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut cells, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => push(&mut cells, other),
        }
    }
    cells
}

fn push(cells: &mut [String], character: char) {
    if let Some(last) = cells.last_mut() {
        last.push(character);
    }
}

/// Puts the addresses of `show servers state` into rows that have none: the table itself has them only
/// at level `operator`.
pub(super) fn add_addresses(rows: &mut [Row], state: &str) {
    let mut lines = state.lines().filter(|line| !line.trim().is_empty());
    let Some(head) = lines.find_map(|line| line.strip_prefix("# ")) else { return };
    let head: Vec<&str> = head.split_ascii_whitespace().collect();
    let place = |name: &str| head.iter().position(|word| *word == name);
    let wanted = [place("be_name"), place("srv_name"), place("srv_addr"), place("srv_port")];
    let [Some(pxname), Some(svname), Some(address), Some(port)] = wanted else { return };
    let mut known = HashMap::new();
    for line in lines {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let word = |place: usize| words.get(place).copied().unwrap_or_default();
        let (ip, port) = (word(address).parse::<IpAddr>(), word(port).parse::<u16>());
        if let (Ok(ip), Ok(port)) = (ip, port) {
            known.insert((word(pxname), word(svname)), SocketAddr::new(ip, port));
        }
    }
    for row in rows.iter_mut().filter(|row| row.address.is_none()) {
        row.address = known.get(&(&*row.pxname, &*row.svname)).copied();
    }
}

/// What HAProxy says at one moment, to look endpoints up in.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    by_address: HashMap<SocketAddr, Vec<usize>>,
    /// Those whose address nobody knows.
    by_name: HashMap<String, Vec<usize>>,
}

/// What it says of one endpoint of ours: that of all its rows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Theirs {
    pub(super) said: Said,
    pub(super) words: String,
    pub(super) since: Option<Duration>,
    pub(super) falls: u64,
    pub(super) sessions: u64,
    pub(super) names: Vec<String>,
}

impl Table {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let mut table = Self { rows, ..Self::default() };
        for (index, row) in table.rows.iter().enumerate() {
            match row.address {
                Some(address) => {
                    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                    table.by_address.entry(address).or_default().push(index);
                }
                None => table.by_name.entry(row.svname.clone()).or_default().push(index),
            }
        }
        table
    }

    /// The rows about an endpoint: by its address; where HAProxy tells none, by its name. Of several those
    /// in the section that is called as the pool.
    fn rows_of(&self, pool: &str, name: &str, address: SocketAddr) -> Vec<&Row> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let (found, by_name) = match self.by_address.get(&address) {
            Some(found) => (found, false),
            None => match self.by_name.get(name) {
                Some(found) => (found, true),
                None => return Vec::new(),
            },
        };
        let rows = || found.iter().filter_map(|index| self.rows.get(*index));
        let of_pool: Vec<_> = rows().filter(|row| row.pxname == pool).collect();
        match of_pool.is_empty() {
            false => of_pool,
            // A name alone that several have says nothing.
            true if by_name && found.len() > 1 => Vec::new(),
            true => rows().collect(),
        }
    }

    /// What is said of an endpoint; `None`: no row is about it. One row that lets sessions go there is
    /// enough for `In`.
    pub(super) fn of(&self, pool: &str, name: &str, address: SocketAddr) -> Option<Theirs> {
        let rows = self.rows_of(pool, name, address);
        let first = |said| rows.iter().find(|row| row.said == said);
        let row = first(Said::In).or_else(|| first(Said::Out)).or(rows.first())?;
        Some(Theirs {
            said: row.said,
            words: row.words.clone(),
            since: row.since,
            falls: rows.iter().map(|row| row.falls).sum(),
            sessions: rows.iter().map(|row| row.sessions).sum(),
            names: rows.iter().map(|row| row.name()).collect(),
        })
    }

    /// The names of all rows.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(Row::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Debian 12's HAProxy (2.6) writes it, without the columns that nobody asks for here.
    const TABLE: &str = "\
# pxname,svname,scur,status,chkdown,lastchg,type,check_status,check_code,addr,
k8s,FRONTEND,3,OPEN,,,0,,,,
masters,m1,2,UP,1,70,2,L7OK,200,10.0.0.11:6443,
masters,m2,0,DOWN 1/2,4,3,2,* L4CON,,10.0.0.12:6443,
masters,m3,0,UP 1/3,0,9,2,L7STS,500,[fd00::13]:6443,
masters,m4,0,MAINT (via a/b),0,9,2,,,10.0.0.14:6443,
other,m1,1,no check,,9,2,,,10.0.0.11:6443,
masters,BACKEND,3,UP,0,70,1,,,,
";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_is_read() {
        let rows = rows(TABLE).unwrap();
        let told: Vec<_> = rows.iter().map(|row| (row.name(), row.said, &*row.words)).collect();
        let name = ToOwned::to_owned;
        assert_eq!(
            told,
            [
                (name("masters/m1"), Said::In, "UP, L7OK/200"),
                (name("masters/m2"), Said::Out, "DOWN 1/2, L4CON"),
                (name("masters/m3"), Said::In, "UP 1/3, L7STS/500"),
                (name("masters/m4"), Said::Nothing, "MAINT (via a/b)"),
                (name("other/m1"), Said::Nothing, "no check"),
            ]
        );
        assert_eq!((rows[0].sessions, rows[1].falls), (2, 4));
        assert_eq!(rows[0].since, Some(Duration::from_secs(70)));
        assert_eq!(rows[2].address, Some(address("[fd00::13]:6443")));
    }

    #[test]
    fn what_is_no_table_is_told() {
        let wrong = |text: &str| rows(text).unwrap_err();
        assert_eq!(wrong(""), "no table of HAProxy's: it begins with ``");
        let page = "<html><body><h1>401 Unauthorized</h1>";
        assert_eq!(wrong(page), format!("no table of HAProxy's: it begins with `{page}`"));
        let without = "# pxname,svname,scur,\na,b,1,\n";
        assert_eq!(wrong(without), "no table of HAProxy's: no column is called `status`");
        let broken_off = &TABLE[..TABLE.find("masters,m3").unwrap() + 12];
        assert_eq!(wrong(broken_off), "line 5 has 3 cells instead of 10");
    }

    #[test]
    fn quotes_and_commas_stay_in_their_cell() {
        assert_eq!(cells(r#"a,"b, ""c""",,d"#), ["a", "b, \"c\"", "", "d"]);
        assert_eq!(cells("a,\r"), ["a", ""]);
    }

    #[test]
    fn endpoints_are_found_by_address_then_by_name() {
        let table = Table::new(rows(TABLE).unwrap());
        let of = |pool: &str, name: &str, at: &str| {
            table.of(pool, name, address(at)).map(|theirs| theirs.names.join(" "))
        };
        assert_eq!(of("masters", "x", "10.0.0.11:6443").as_deref(), Some("masters/m1"));
        assert_eq!(of("p", "x", "10.0.0.11:6443").as_deref(), Some("masters/m1 other/m1"));
        assert_eq!(of("masters", "m1", "10.0.0.19:6443"), None, "another address is another one");
        assert_eq!(of("p", "x", "[::ffff:10.0.0.12]:6443").as_deref(), Some("masters/m2"));
        let both = table.of("p", "x", address("10.0.0.11:6443")).unwrap();
        assert_eq!((both.said, both.sessions), (Said::In, 3));
    }

    #[test]
    fn addresses_come_from_the_state_where_the_table_has_none() {
        let mut rows = rows(TABLE).unwrap();
        rows.iter_mut().for_each(|row| row.address = None);
        let bare = Table::new(rows.clone());
        let of = |table: &Table, pool: &str, name: &str| {
            table.of(pool, name, address("10.0.0.12:6443")).map(|theirs| theirs.names.join(" "))
        };
        assert_eq!(of(&bare, "p", "m2").as_deref(), Some("masters/m2"));
        assert_eq!(of(&bare, "masters", "m1").as_deref(), Some("masters/m1"));
        assert_eq!(of(&bare, "p", "m1"), None, "two have that name");
        let state = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_port\n\
                     3 masters 1 m1 10.0.0.11 2 6443\n3 masters 2 m2 10.0.0.12 0 6443\n\
                     3 masters 3 m3 - 0 0\nrubbish\n";
        add_addresses(&mut rows, state);
        assert_eq!(rows[1].address, Some(address("10.0.0.12:6443")));
        assert_eq!(rows[2].address, None);
        assert_eq!(of(&Table::new(rows), "p", "any").as_deref(), Some("masters/m2"));
    }
}
