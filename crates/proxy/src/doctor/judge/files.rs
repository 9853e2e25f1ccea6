//! Files that the configuration names: whether the service can read them, and whether others should not;
//! and what the certificates of listeners say.

use crate::doctor::facts::{Facts, NamedFile, Step, Who};
use crate::doctor::report::{Findings, Severity};
use crate::layer7::{Examined, Look};
use crate::probe::SOON;
use eclusa_config::plan::Program;
use std::time::SystemTime;

const OTHERS_READ: u32 = 0o004;
const OTHERS_SEARCH: u32 = 0o001;
const READ: u32 = 0o4;
const SEARCH: u32 = 0o1;
/// What the layer says of a file that whoever looks may not read.
const UNREADABLE: &str = "it may not be read";
/// A certificate that ends within this is told, whatever else: 14 days.
const VERY_SOON: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    readable(facts, out);
    secrets(facts, out);
    certificates(facts, out);
}

fn readable(facts: &Facts, out: &mut Findings) {
    let check = "files";
    if facts.files.is_empty() {
        return out.fine(check, "the configuration names none");
    }
    let Some(who) = &facts.service.who else {
        return out.skip(check, "as whom the service opens them is not known: no service, no unit");
    };
    let before = out.findings.len();
    for file in &facts.files {
        let path = file.path.display();
        let steps = match &file.steps {
            Ok(steps) => steps,
            Err(why) if why.contains("ermission") => {
                out.skip(check, format!("{path} cannot be looked at by this user: run it as root"));
                continue;
            }
            // The reader of the file, or whoever would show it, has told that already.
            Err(_) if is_told(facts, file) => continue,
            Err(why) => {
                let remedy = format!("put it there, or correct the path: ls -l {path}");
                out.tell(check, Severity::Error, format!("{path}: {why}"), remedy);
                continue;
            }
        };
        if let Some(hidden) = hidden(facts, file) {
            let remedy = format!(
                "move it to /etc/eclusa: install -d -m 0755 /etc/eclusa; mv {path} /etc/eclusa/"
            );
            out.tell(check, Severity::Error, format!("{path}: {hidden}"), remedy);
        } else if let Some(step) =
            steps.iter().find(|step| !may_pass(who, step, is_last(steps, step)))
        {
            out.tell(
                check,
                Severity::Error,
                refused(who, &file.path.display().to_string(), step),
                remedy_for(facts, who, file, step),
            );
        }
    }
    if out.findings.len() == before {
        out.fine(check, format!("{} can read all {}", who.name, facts.files.len()));
    }
}

fn is_told(facts: &Facts, file: &NamedFile) -> bool {
    let path = file.path.display().to_string();
    facts.told.iter().any(|told| told.found.contains(&path))
        || facts.examined.iter().any(|one| one.is_wrong() && one.file == file.path)
}

fn is_last(steps: &[Step], step: &Step) -> bool {
    steps.last() == Some(step)
}

/// Where the unit does not let it see what is there.
fn hidden(facts: &Facts, file: &NamedFile) -> Option<String> {
    // Without systemd the unit's file keeps nothing from nobody.
    facts.service.systemd.as_ref()?;
    let unit = facts.service.unit.as_ref()?;
    let below = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
    if unit.hides_home && below(&["/home", "/root", "/run/user"]) {
        return Some("the unit's ProtectHome= hides it from the service".to_owned());
    }
    (unit.own_tmp && below(&["/tmp", "/var/tmp"])).then(|| {
        "the unit has a /tmp of its own (PrivateTmp=): the service sees another".to_owned()
    })
}

/// Whether `who` gets past a directory (search) or into the file (read), by owner, group and bits
/// (path_resolution(7)).
pub(super) fn may_pass(who: &Who, step: &Step, is_file: bool) -> bool {
    // A list says more than the bits: nobody is accused.
    if who.reads_all || step.has_acl {
        return true;
    }
    let wanted = if is_file { READ } else { SEARCH };
    let shift = if who.uid == step.uid {
        6
    } else if who.groups.contains(&step.gid) {
        3
    } else {
        0
    };
    step.mode >> shift & wanted != 0
}

fn refused(who: &Who, path: &str, step: &Step) -> String {
    let mode = step.mode & 0o7777;
    let at = step.path.display().to_string();
    let what = if at == path { String::new() } else { format!(" (at {at})") };
    format!(
        "{path}: {} may not read it{what}: mode {mode:04o}, uid {}, gid {}",
        who.name, step.uid, step.gid
    )
}

fn remedy_for(facts: &Facts, who: &Who, file: &NamedFile, step: &Step) -> String {
    let at = step.path.display();
    let search = step.path != file.path;
    if facts.program == Program::Edge && !who.reads_all {
        return format!(
            "give the unit CAP_DAC_READ_SEARCH back (its keeper then opens it): systemctl revert {}; or: \
             setfacl -m u:eclusa:{} {at}",
            facts.program.name(),
            if search { "x" } else { "r" }
        );
    }
    match search {
        true => format!("setfacl -m u:eclusa:x {at}"),
        false if file.is_secret => format!("chown root:eclusa {at} && chmod 0640 {at}"),
        false => format!("chmod 0644 {at}"),
    }
}

fn secrets(facts: &Facts, out: &mut Findings) {
    let check = "secrets";
    let mut looked = 0;
    let before = out.findings.len();
    for file in facts.files.iter().filter(|file| file.is_secret) {
        let Ok(steps) = &file.steps else { continue };
        let Some((last, way)) = steps.split_last() else { continue };
        looked += 1;
        let open = last.mode & OTHERS_READ != 0 && !last.has_acl;
        if open && way.iter().all(|step| step.mode & OTHERS_SEARCH != 0) {
            let path = file.path.display();
            let found = format!("{path}: mode {:04o}: everybody may read it", last.mode & 0o7777);
            let remedy = match &facts.service.who {
                Some(who) if who.reads_all => format!("chmod 0600 {path}"),
                _ => format!("chown root:eclusa {path} && chmod 0640 {path}"),
            };
            out.tell(check, Severity::Warning, found, remedy);
        }
    }
    if out.findings.len() == before {
        out.fine(
            check,
            format!("{looked} files with keys, tokens or passwords, none for everybody"),
        );
    }
}

fn certificates(facts: &Facts, out: &mut Findings) {
    let check = "certificates";
    let before = out.findings.len();
    let mut fine = 0;
    for one in &facts.examined {
        let place = format!("listener {}: {}", one.listener, one.file.display());
        match &one.look {
            Look::Wrong { what, .. } if what == UNREADABLE && !facts.host.sees_all => {
                out.skip(check, format!("{place}: {what} by this user: run it as root"));
            }
            Look::Wrong { what, remedy } => {
                out.tell(check, Severity::Error, format!("{place}: {what}"), remedy);
            }
            Look::Odd { what, remedy } => {
                out.tell(check, Severity::Warning, format!("{place}: {what}"), remedy);
            }
            Look::Read { .. } => fine += usize::from(timely(facts.now, &place, one, out)),
        }
    }
    if out.findings.len() == before {
        out.fine(check, format!("{fine} certificates of listeners"));
    }
}

/// Whether a certificate that could be read is fine.
fn timely(now: SystemTime, place: &str, one: &Examined, out: &mut Findings) -> bool {
    let check = "certificates";
    let Look::Read { names, not_before, not_after, issuer, links } = &one.look else {
        return false;
    };
    let day = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
    let renew = "renew it (certbot renew); it is taken by itself";
    if *not_after < now {
        out.tell(
            check,
            Severity::Error,
            format!("{place}: expired at {} ({names})", day(*not_after)),
            renew,
        );
    } else if *not_before > now {
        let found = format!("{place}: not valid before {} ({names})", day(*not_before));
        out.tell(check, Severity::Error, found, "wait until then, or set the clock: timedatectl");
    } else if *not_after < now + SOON {
        let severity =
            if *not_after < now + VERY_SOON { Severity::Warning } else { Severity::Advice };
        let effect = "clients refuse the connection from then on";
        out.tell_that(
            check,
            severity,
            format!("{place}: ends at {} ({names})", day(*not_after)),
            effect,
            renew,
        );
    } else if let (1, Some(issuer)) = (*links, issuer) {
        let found = format!("{place}: stands alone in its file, issued by \"{issuer}\" ({names})");
        let effect = "clients that know that CA by its root alone refuse the connection";
        let remedy = "unless the CA that clients trust has issued it itself: put the certificates between \
                      them behind it (certbot: name fullchain.pem, not cert.pem)";
        out.tell_that(check, Severity::Advice, found, effect, remedy);
    } else {
        return true;
    }
    false
}
