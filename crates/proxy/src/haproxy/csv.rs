//! The table as HAProxy writes it: a line of names, then one for each row, a comma after each cell.

use super::rows::{Row, Value};
use super::table::{About, COLUMNS, Col};
use std::fmt::Write;

/// Which rows are wanted, as `show stat` asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A listener or pool.
    pub(crate) proxy: Proxy,
    /// The sum of the bits of what rows may be about: 1 listeners, 2 pools, 4 endpoints; -1: all.
    pub(crate) kinds: i64,
    /// The number of an endpoint in its pool; -1: all.
    pub(crate) sid: i64,
    /// Of endpoints only those that take new sessions.
    pub(crate) up: bool,
    /// Of endpoints only those that are not taken out by the operator.
    pub(crate) no_maint: bool,
}

/// Which listener or pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// Each.
    All,
    /// That of this number.
    Number(i64),
    /// Those of this name.
    Name(String),
}

impl Default for Wanted {
    fn default() -> Self {
        Self { proxy: Proxy::All, kinds: -1, sid: -1, up: false, no_maint: false }
    }
}

impl Wanted {
    /// Whether the row is wanted.
    pub(super) fn takes(&self, row: &Row) -> bool {
        let proxy = match &self.proxy {
            Proxy::All => true,
            Proxy::Number(number) => u64::try_from(*number) == Ok(row.iid),
            Proxy::Name(name) => **name == *row.pxname,
        };
        let sid =
            self.sid < 0 || row.about != About::Endpoint || u64::try_from(self.sid) == Ok(row.sid);
        let status = row.get(Col::Status);
        let state = match row.about {
            About::Endpoint if self.up && !status.is_some_and(super::words::is_up) => false,
            About::Endpoint if self.no_maint => status != Some(&Value::Word("MAINT")),
            _ => true,
        };
        proxy && (self.kinds & row.about.bit()) != 0 && sid && state
    }
}

/// The line of names and the rows that are wanted.
pub(crate) fn write(rows: &[Row], wanted: &Wanted) -> String {
    let mut text = String::with_capacity(2048 + rows.len() * 320);
    text.push_str("# ");
    for column in COLUMNS {
        text.push_str(column.name);
        text.push(',');
    }
    text.push('\n');
    for row in rows.iter().filter(|row| wanted.takes(row)) {
        let mut cells = row.cells().iter().peekable();
        for place in 0..COLUMNS.len() {
            if let Some((_, value)) = cells.next_if(|(column, _)| *column as usize == place) {
                cell(&mut text, value);
            }
            text.push(',');
        }
        text.push('\n');
    }
    text
}

/// What could be mistaken for something else is put in quotes, as HAProxy does (RFC 4180).
fn cell(out: &mut String, value: &Value) {
    let Value::Text(text) = value else {
        let _ = write!(out, "{value}");
        return;
    };
    if !text.contains([',', '"', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\"\""),
            // A row is a line.
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What HAProxy 2.6.12 writes.
    const NAMES: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,ssl_sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,h2_rst_stream_resp,h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,h1_spliced_bytes_in,h1_spliced_bytes_out,\n";

    #[test]
    fn the_names_are_haproxys() {
        assert_eq!(write(&[], &Wanted::default()), NAMES);
    }

    #[test]
    fn each_cell_stands_below_its_name() {
        let rows = super::super::tests::rows();
        let text = write(&rows, &Wanted::default());
        let names: Vec<&str> = NAMES.trim_start_matches("# ").trim_end().split(',').collect();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), rows.len());
        for (line, row) in lines.iter().zip(&rows) {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), names.len(), "{line}");
            for (column, value) in row.cells() {
                let place = names.iter().position(|name| *name == COLUMNS[*column as usize].name);
                assert_eq!(cells[place.unwrap()], value.to_string(), "{line}");
            }
            let told = cells.iter().filter(|cell| !cell.is_empty()).count();
            let expected = row.cells().iter().filter(|(_, value)| !value.to_string().is_empty());
            assert_eq!(told, expected.count(), "{line}");
        }
    }

    #[test]
    fn rows_are_picked_as_show_stat_asks() {
        let rows = super::super::tests::rows();
        let of = |wanted: Wanted| {
            let names = rows.iter().filter(|row| wanted.takes(row)).map(|row| &*row.svname);
            names.collect::<Vec<_>>().join(" ")
        };
        let all = Wanted::default;
        assert_eq!(of(all()), "FRONTEND m1 m2 m3 BACKEND");
        assert_eq!(of(Wanted { kinds: 4, ..all() }), "m1 m2 m3");
        assert_eq!(of(Wanted { kinds: 3, ..all() }), "FRONTEND BACKEND");
        assert_eq!(of(Wanted { proxy: Proxy::Number(2), kinds: 4, sid: 2, ..all() }), "m2");
        assert_eq!(of(Wanted { proxy: Proxy::Number(1), ..all() }), "FRONTEND");
        let named = Proxy::Name("pool".to_owned());
        assert_eq!(of(Wanted { proxy: named, ..all() }), "m1 m2 m3 BACKEND");
        assert_eq!(of(Wanted { kinds: 4, up: true, ..all() }), "m1 m3");
        assert_eq!(of(Wanted { kinds: 4, no_maint: true, ..all() }), "m1 m3");
    }

    #[test]
    fn what_could_be_mistaken_is_quoted() {
        let quoted = |text: &str| {
            let mut out = String::new();
            cell(&mut out, &Value::Text(text.to_owned()));
            out
        };
        assert_eq!(quoted("plain words"), "plain words");
        assert_eq!(quoted("a, b"), "\"a, b\"");
        assert_eq!(quoted("say \"x\"\nnow"), "\"say \"\"x\"\" now\"");
    }
}
