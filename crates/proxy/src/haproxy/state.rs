//! `show servers state`: version 1 of HAProxy's state file.

use super::rows::{Row, Value};
use super::table::{About, Col};
use crate::admin::AdminState;
use std::fmt::Write;

const HEAD: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
    srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
    srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn \
    srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

/// The endpoints of all pools, or of one.
pub(super) fn write(rows: &[Row], pool: Option<&str>) -> String {
    let mut text = HEAD.to_owned();
    for row in rows.iter().filter(|row| row.about == About::Endpoint) {
        if pool.is_none_or(|pool| *row.pxname == *pool) {
            line(&mut text, row);
        }
    }
    text
}

fn line(text: &mut String, row: &Row) {
    let Some(endpoint) = &row.endpoint else { return };
    let (written, address) = (endpoint.written(), endpoint.address());
    let is = |word| row.get(Col::Status) == Some(&Value::Word(word));
    // SRV_ST_STOPPED, SRV_ST_RUNNING, SRV_ST_STOPPING.
    let state = match () {
        () if is("DOWN") || is("MAINT") => 0,
        () if is("NOLB") => 3,
        () => 2,
    };
    // SRV_ADMF_FMAINT, SRV_ADMF_FDRAIN.
    let admin = match endpoint.admin() {
        AdminState::Ready => 0,
        AdminState::Maint => 1,
        AdminState::Drain => 8,
    };
    // CHK_RES_UNKNOWN, CHK_RES_NEUTRAL, CHK_RES_FAILED, CHK_RES_PASSED.
    let result = match row.get(Col::CheckStatus).map(ToString::to_string).as_deref() {
        None => 1,
        Some("INI" | "SOCKERR") => 0,
        Some("L4OK" | "L6OK" | "L7OK" | "L7OKC") => 3,
        Some(_) => 2,
    };
    let since = row.get(Col::Lastchg).map_or_else(|| "0".to_owned(), ToString::to_string);
    let host = written.host.as_deref().unwrap_or("-");
    let _ = writeln!(
        text,
        "{} {} {} {} {} {state} {admin} {} {} {since} 0 {result} 0 0 0 0 0 {host} {} - 0 0 - - 0",
        row.iid,
        row.pxname,
        row.sid,
        row.svname,
        address.ip(),
        endpoint.weight(),
        written.weight,
        address.port(),
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_for_each_endpoint_with_as_many_fields_as_names() {
        let rows = super::super::tests::rows();
        let text = super::write(&rows, None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines.len()), ("1", 2 + 3));
        let names = lines[1].trim_start_matches("# ").split(' ').count();
        assert_eq!(names, 25);
        assert!(lines[2..].iter().all(|line| line.split(' ').count() == names), "{text}");
        assert!(lines[2].starts_with("2 pool 1 m1 10.0.0.11 2 0 1 1 "), "{text}");
        assert!(lines[3].starts_with("2 pool 2 m2 10.0.0.12 0 1 1 1 "), "{text}");
        assert_eq!(super::write(&rows, Some("other")).lines().count(), 2);
    }
}
