//! Probes: the kind, and which keys go with it.

use super::host;
use crate::plan::{Probe, ProbeKind};
use crate::reader::Reader;
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values;

pub(super) fn read(reader: &Reader<'_>) -> Probe {
    let kind = reader.choice(&keys::PROBE_KIND).map_or("tcp", |got| got.value);
    let server_name = reader.text(&keys::PROBE_SERVER_NAME, values::probe_name);
    let ca = reader.path_of(&keys::CA);
    if let Some(ca) = &ca {
        host::ca(reader.report, ca);
    }
    let timing = [&keys::INTERVAL, &keys::PROBE_TIMEOUT, &keys::RISE, &keys::FALL];
    let tls = [&keys::PROBE_SERVER_NAME, &keys::CA];
    match kind {
        "none" => timing.iter().chain(&tls).for_each(|key| meaningless(reader, key, kind)),
        "tcp" => tls.iter().for_each(|key| meaningless(reader, key, kind)),
        _ => {}
    }
    if let Some(ca) = &ca
        && kind == "tls"
        && !reader.has(&keys::PROBE_SERVER_NAME)
    {
        reader.report.error(
            reader.key_span(&keys::CA).unwrap_or(ca.span),
            "with `ca` the certificate is verified, and nobody says for which name",
            "`server_name` beside `ca`",
            "add `server_name = \"kubernetes\"` (every kube-apiserver's certificate has it), or \
             another name of the certificate",
        );
    }
    let kind = match kind {
        "none" => ProbeKind::None,
        "tls" => ProbeKind::Tls {
            server_name: server_name.map(|got| got.value.into()),
            ca: ca.map(|got| got.value),
        },
        _ => ProbeKind::Tcp,
    };
    Probe {
        kind,
        interval: reader.duration(&keys::INTERVAL).value,
        timeout: reader.duration(&keys::PROBE_TIMEOUT).value,
        rise: reader.integer(&keys::RISE).map_or(1, |got| got.value),
        fall: reader.integer(&keys::FALL).map_or(1, |got| got.value),
    }
}

fn meaningless(reader: &Reader<'_>, key: &'static Key, kind: &str) {
    let Some(span) = reader.key_span(key) else { return };
    let tls_only = matches!(key.name, "server_name" | "ca");
    let wanted = if tls_only { "`kind = \"tls\"`" } else { "`kind = \"tcp\"` or \"tls\"" };
    reader.report.error(
        span,
        &format!("`{}` says nothing to a probe of kind \"{kind}\"", key.name),
        &format!("{wanted} beside it"),
        &format!("write {wanted}, or remove `{}`", key.name),
    );
}
