//! What to do about what files of others do to HAProxy.

use super::migration::MASK;
use crate::doctor::migration::{Deed, Mention};
use eclusa_config::plan::Program;
use std::path::Path;

/// What to type, or which line to change.
pub(super) fn remedy(program: Program, mention: &Mention) -> String {
    let name = program.name();
    let path = mention.path.display();
    match mention.check {
        "haproxy-renewal" => format!(
            "take that out of {path}, and leave what writes the files: {name} takes what is renewed by itself"
        ),
        "haproxy-cron" => match crontab_of(&mention.path) {
            Some(user) => {
                format!("crontab -e -u {user}: take that line out, or let it speak of {name}")
            }
            None => format!("take that out of {path}, or let it speak of {name}"),
        },
        "haproxy-units" => unit(name, mention),
        "haproxy-watchdogs" => format!(
            "take it out of {path}, then monit reload (supervisorctl update): systemd restarts {name} by itself"
        ),
        "haproxy-containers" => container(&mention.path),
        "haproxy-failover" => failover(name, mention),
        "haproxy-syslog" => format!(
            "[log] says where lines of {name} go (docs/logs.md); once nobody wants the old log: take that out of \
             {path}, then systemctl restart rsyslog"
        ),
        "haproxy-logrotate" => format!(
            "once nobody wants the old log: take that out of {path}; /etc/logrotate.d/{name} is for the new one"
        ),
        "haproxy-readers" => format!(
            "let {path} read `[haproxy_socket]`, /stats;csv or /metrics of `observe.listen` \
             (docs/haproxy-compat.md)"
        ),
        "haproxy-managed" => format!(
            "take HAProxy out of what manages this host before its next run ({path}), or let it keep the mask: \
             {MASK}"
        ),
        "haproxy-rights"
            if mention.path.starts_with("/etc/sudoers.d") || mention.path.ends_with("sudoers") =>
        {
            format!("say the same of {name}, where it is still wanted: visudo -f {path}")
        }
        "haproxy-rights" => format!("say the same of {name} in {path}, where it is still wanted"),
        "haproxy-upgrades" => upgrades(name, mention),
        _ => format!("see {path}"),
    }
}

/// The user whose table it is: `/var/spool/cron/crontabs/USER`.
fn crontab_of(path: &Path) -> Option<String> {
    let inside = path.starts_with("/var/spool/cron");
    inside.then(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// The unit that a file or a drop-in belongs to.
fn unit_of(path: &Path) -> Option<String> {
    let own = |path: &Path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let name = name.strip_suffix(".d").unwrap_or(&name).to_owned();
        [".service", ".timer", ".target", ".socket", ".path", ".mount"]
            .iter()
            .any(|end| name.ends_with(end))
            .then_some(name)
    };
    own(path).or_else(|| own(path.parent()?))
}

fn unit(name: &str, mention: &Mention) -> String {
    let path = mention.path.display();
    match (mention.deed, unit_of(&mention.path)) {
        (Deed::Starts, Some(unit)) if mention.through.is_none() => {
            format!(
                "it is another unit than haproxy.service: systemctl mask --now {unit}, or change {path}"
            )
        }
        (Deed::Needs, Some(unit)) => format!(
            "before HAProxy is stopped: systemctl edit --full {unit}, and write {name}.service in its place, or \
             nothing"
        ),
        (_, Some(_)) => format!("change {path}, then systemctl daemon-reload"),
        (_, None) => format!("take that out of {path}"),
    }
}

fn container(path: &Path) -> String {
    let shown = path.display();
    if path.starts_with("/etc/kubernetes/manifests") {
        return format!("mv {shown} /var/backups/: kubelet ends the pod, and starts it no more");
    }
    if path.starts_with("/var/lib/docker") {
        let id = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let id: String = id.chars().take(12).collect();
        return format!("docker update --restart=no {id} && docker stop {id}");
    }
    if path.starts_with("/etc/containers/systemd") {
        return format!("mv {shown} /var/backups/ && systemctl daemon-reload; then stop its unit");
    }
    format!("take it out of {shown}, then docker compose -f {shown} up -d --remove-orphans")
}

fn failover(name: &str, mention: &Mention) -> String {
    if mention.path.ends_with("cib.xml") {
        return "before HAProxy is stopped: crm_resource --resource NAME --set-parameter is-managed --meta \
                --parameter-value false; delete it afterwards"
            .to_owned();
    }
    if mention.deed == Deed::Names {
        return format!("see {}:{}", mention.path.display(), mention.line);
    }
    let keepalived = "/etc/keepalived/keepalived.conf";
    format!(
        "{name} import /etc/haproxy/haproxy.cfg --keepalived {keepalived} writes what takes its place: asking \
         /vip, on both hosts before HAProxy is stopped"
    )
}

fn upgrades(name: &str, mention: &Mention) -> String {
    let path = mention.path.display();
    if mention.path.starts_with("/etc/needrestart") {
        return format!(
            "echo '$nrconf{{override_rc}}{{qr(^eclusa-)}} = 0;' > /etc/needrestart/conf.d/eclusa.conf, if \
             restarts of {name} shall wait for you, too"
        );
    }
    format!("say the same of {name} in {path}, if it shall hold for what takes HAProxy's place")
}
