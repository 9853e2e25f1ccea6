//! For monitoring and tools that know HAProxy: its socket, its table of figures, the names of its
//! exporter (HAProxy 2.6, `docs/haproxy-compat.md`). Everything here is opt-in, is told from what
//! workers count anyway, and orders go the way of the admin socket's.
//!
//! | file | what |
//! |---|---|
//! | `table` | the columns, what each tells, and the exporter's names for it |
//! | `rows`, `words` | listeners, pools and endpoints as rows; verdicts in HAProxy's words |
//! | `csv`, `exporter`, `state`, `info`, `lists` | the same in each form |
//! | `command` | what can be asked |
//! | `serve` | the clients of the socket |

mod command;
mod csv;
mod exporter;
mod info;
mod lists;
mod rows;
mod serve;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use command::{Change, Command, Target};
pub(crate) use csv::{Proxy, Wanted};
pub(crate) use exporter::page as exported;
pub(crate) use lists::{errors, sessions};
pub(crate) use serve::{Answer, serve};

use crate::observe::View;
use crate::observe::metrics::Metrics;

/// The table, as `show stat` and `/stats;csv` tell it; `None`: there is no such listener or pool.
pub(crate) fn stat(metrics: &Metrics, view: &View, wanted: &Wanted) -> Option<String> {
    let rows = rows::rows(metrics, view);
    if let Proxy::Name(name) = &wanted.proxy
        && !rows.iter().any(|row| *row.pxname == **name)
    {
        return None;
    }
    Some(csv::write(&rows, wanted))
}

/// The state file, of all pools or of one; `None`: there is no such pool.
pub(crate) fn state(metrics: &Metrics, view: &View, pool: Option<&str>) -> Option<String> {
    if let Some(pool) = pool
        && !view.pools.iter().any(|known| known.name() == pool)
    {
        return None;
    }
    Some(state::write(&rows::rows(metrics, view), pool))
}

/// The lines of `show info`.
pub(crate) fn info(metrics: &Metrics, view: &View) -> String {
    info::write(metrics, view)
}

/// The answer to `show version`.
pub(crate) fn version() -> String {
    info::version() + "\n"
}

/// What there is to be asked.
pub(crate) fn help() -> String {
    command::HELP.to_owned()
}
