//! What workers counted of TLS and HTTP: of listeners and pools that have had to do with it.

use super::Page;
use super::listeners::{by_word, ends, histogram};
use crate::observe::View;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::cells::{ListenerCells, PerWorker, PoolCell};
use crate::observe::metrics::exchanges::{
    ByReason, CLASSES, CONSEQUENCES, Compressed, Handshake, Limited, Login,
};
use crate::observe::metrics::histogram::ANSWERS;
use crate::observe::metrics::table::{self, Metric};
use eclusa_wire::http1::Reason;
use eclusa_wire::http2::Flood;
use std::sync::Arc;

pub(super) fn write(page: &mut Page, metrics: &Metrics, view: &View) {
    let mut listeners = metrics.listeners.all();
    listeners.retain(|(_, cells)| cells.has_http());
    let pools = view.pools.iter().filter(|pool| pool.cells().has_http());
    let pools: Vec<_> = pools.map(|pool| (pool.name(), &pool.cells().workers)).collect();
    of_listeners(page, &listeners);
    of_pools(page, &pools);
    page.family(&table::IDLE_CONNECTIONS);
    for (worker, cell) in metrics.workers.iter().enumerate() {
        let count = cell.idle_connections.get();
        page.sample(&table::IDLE_CONNECTIONS, &[&worker.to_string()], count);
    }
}

fn of_listeners(page: &mut Page, listeners: &[(Arc<str>, Arc<ListenerCells>)]) {
    page.family(&table::HANDSHAKES);
    for (name, cells) in listeners {
        by_word(page, &table::HANDSHAKES, name, cells, Handshake::WORDS, |cell| {
            &cell.http_so_far().handshakes
        });
    }
    page.family(&table::EXCHANGES);
    for (name, cells) in listeners {
        by_word(page, &table::EXCHANGES, name, cells, CLASSES, |cell| &cell.http_so_far().statuses);
    }
    page.family(&table::REQUESTS_REFUSED);
    for (name, cells) in listeners {
        by_reason(page, &table::REQUESTS_REFUSED, name, cells, |cell| &cell.http_so_far().refused);
    }
    page.family(&table::LOGINS);
    for (name, cells) in listeners {
        by_word(page, &table::LOGINS, name, cells, Login::WORDS, |cell| &cell.http_so_far().logins);
    }
    page.family(&table::LIMITED);
    for (name, cells) in listeners {
        for (what, limit) in Limited::WORDS.into_iter().enumerate() {
            for (how, outcome) in CONSEQUENCES.into_iter().enumerate() {
                let count = cells.sum(|cell| &cell.http_so_far().limited[what][how]);
                page.sample(&table::LIMITED, &[name, limit, outcome], count);
            }
        }
    }
    page.family(&table::FORGOTTEN);
    for (name, cells) in listeners {
        page.sample(&table::FORGOTTEN, &[name], cells.sum(|cell| &cell.http_so_far().forgotten));
    }
    page.family(&table::COMPRESSED);
    for (name, cells) in listeners {
        by_word(page, &table::COMPRESSED, name, cells, Compressed::WORDS, |cell| {
            &cell.http_so_far().compressed
        });
    }
    page.family(&table::FLOODS);
    for (name, cells) in listeners {
        for (index, flood) in Flood::ALL.iter().enumerate() {
            let count = cells.sum(|cell| &cell.http_so_far().floods[index]);
            if count > 0 {
                page.sample(&table::FLOODS, &[name, flood.word()], count);
            }
        }
    }
}

fn of_pools(page: &mut Page, pools: &[(&str, &PerWorker<PoolCell>)]) {
    page.family(&table::POOL_EXCHANGES);
    for (name, cells) in pools {
        ends(page, &table::POOL_EXCHANGES, name, cells, |cell| &cell.http_so_far().ends);
    }
    page.family(&table::ANSWER_TIME);
    for (name, cells) in pools {
        histogram(page, &table::ANSWER_TIME, &[name], &ANSWERS, cells, |cell| {
            &cell.http_so_far().answer
        });
    }
    page.family(&table::REUSED);
    for (name, cells) in pools {
        page.sample(&table::REUSED, &[name], cells.sum(|cell| &cell.http_so_far().reused));
    }
    page.family(&table::ANSWERS_REFUSED);
    for (name, cells) in pools {
        by_reason(page, &table::ANSWERS_REFUSED, name, cells, |cell| &cell.http_so_far().refused);
    }
}

/// The reasons that there were.
fn by_reason<T: Default>(
    page: &mut Page,
    metric: &Metric,
    name: &str,
    cells: &PerWorker<T>,
    of: impl Fn(&T) -> &ByReason,
) {
    for (place, reason) in Reason::ALL.iter().enumerate() {
        let count = cells.sum(|cell| &of(cell).counters()[place]);
        if count > 0 {
            page.sample(metric, &[name, reason.word()], count);
        }
    }
}
