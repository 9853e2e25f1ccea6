//! `[observe]`: where figures and health are told, and the other host.

use super::overlap::Taken;
use crate::plan::Observe;
use crate::reader::Reader;
use crate::reference::table as keys;
use crate::values;

pub(super) fn read(top: &Reader<'_>, taken: &mut Taken) -> Observe {
    let reader = top.table(&keys::OBSERVE, &keys::OBSERVE_SECTION);
    let listen = reader.texts(&keys::OBSERVE_LISTEN, values::listen);
    let listen = listen.map(|got| got.value).unwrap_or_default();
    for address in &listen {
        taken.take(top.report, address.value, address.span);
        if address.value.ip().is_unspecified() {
            top.report.warning(
                address.span,
                "every network of this host can ask this address, the outer one too: it names all \
                 pools, endpoints and their state",
                "an address that only those who shall ask can reach",
                &format!("write \"127.0.0.1:{}\", or an inner address", address.value.port()),
            );
        }
    }
    let peer = reader.text(&keys::OBSERVE_PEER, values::http_address);
    if let Some(peer) = &peer
        && !reader.has(&keys::OBSERVE_LISTEN)
    {
        top.report.error(
            peer.span,
            "`peer` without `listen`: nobody can ask `/vip`, and the peer cannot ask back",
            "`listen` beside `peer`",
            "add `listen`, with an address that the peer reaches",
        );
    }
    let wanted = |key| {
        let got = reader.boolean(key).filter(|got| got.value)?;
        if !reader.has(&keys::OBSERVE_LISTEN) {
            top.report.error(
                got.span,
                &format!("`{}` without `listen`: nobody can ask", key.name),
                &format!("`listen` beside `{}`", key.name),
                "add `listen`, with an address that those who shall ask can reach",
            );
        }
        Some(())
    };
    let (stats, names) =
        (wanted(&keys::OBSERVE_HAPROXY_STATS), wanted(&keys::OBSERVE_HAPROXY_NAMES));
    Observe {
        haproxy_stats: stats.is_some(),
        haproxy_names: names.is_some(),
        listen: listen.into_iter().map(|got| got.value).collect(),
        peer: peer.map(|got| got.value.into()),
    }
}
