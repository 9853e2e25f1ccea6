//! What systemd makes of the units: started, confined, reloaded, logging, stopped.

use super::stage::{APISERVER, CONFIG, EDGE, Stage, WEB, status, writable};
use e2e::product::PATIENCE;
use e2e::proof::{Item, wrong_of};
use eclusa_testkit::wait::wait_until;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

/// Beside [`CONFIG`]: sessions to a file, events to the journal itself, the admin socket for a group.
const MORE: &str = r#"
[log]
target = "/var/log/eclusa/edge.log"
events = { target = "journal" }
[admin]
group = "adm"
"#;
/// Group `adm` of the container.
const ADM: u32 = 4;
/// `CAP_NET_BIND_SERVICE` and `CAP_DAC_READ_SEARCH`.
const FOR_KEEPER: u64 = (1 << 10) | (1 << 2);
/// All that the programs may write to; of `/proc` the kernel's settings are apart, and read-only.
const WRITABLE: [&str; 8] = [
    "/dev/pts",
    "/dev/shm",
    "/proc",
    "/run/eclusa",
    "/tmp",
    "/var/lib/eclusa",
    "/var/log/eclusa",
    "/var/tmp",
];

#[test]
fn systemd_runs_the_units_as_they_are() {
    let Some(stage) = Stage::new("systemd_runs_the_units_as_they_are") else { return };
    let groups = stage.booted.path("/etc/group");
    let text = std::fs::read_to_string(&groups).unwrap();
    std::fs::write(&groups, text.replace("adm:x:4:", "adm:x:4:eclusa")).unwrap();
    let masters = ["10.0.0.11", "10.0.0.12", "10.0.0.13"];
    stage.write("/etc/eclusa/apiserver.toml", &format!("masters = {masters:?}\n"));
    stage.write("/etc/eclusa/edge.toml", &format!("{CONFIG}{MORE}"));
    starts(&stage);
    in_force(&stage);
    reloads(&stage);
    logs(&stage);
    group(&stage);
    stops(&stage);
}

fn starts(stage: &Stage) {
    let (mut times, mut wrong) = (Vec::new(), Vec::new());
    for (unit, told) in [(EDGE, "1/1"), (APISERVER, "/3")] {
        let begun = Instant::now();
        let said = stage.booted.systemctl(&["start", unit]);
        times.push(begun.elapsed());
        let status = stage.booted.systemctl(&["status", "--lines=0", unit]);
        let told = format!("{told} endpoints ready, 0 sessions\"");
        let shown = ["Active: active (running)", "Status: \"", told.as_str()];
        let all = shown.iter().all(|part| status.text.contains(part));
        if said.code != Some(0) || status.code != Some(0) || !all {
            wrong.push(format!("{said:?} {status:?}"));
        }
    }
    let served = stage.answers(WEB);
    let worst = times.iter().max().copied().unwrap_or_default();
    Item::new("3c.1 systemd as PID 1 of a container starts the shipped units")
        .bound("active (running), which takes READY=1; STATUS= in `systemctl status`; traffic")
        .n(times.len())
        .worst(format!("{} ms", worst.as_millis()))
        .note("from `systemctl start` to its end, the check of the file included")
        .record(wrong.is_empty() && served, wrong_of(times.len(), &wrong));
}

fn in_force(stage: &Stage) {
    let hex = |status: &str| u64::from_str_radix(status, 16).unwrap();
    let mut wrong = Vec::new();
    for (unit, for_keeper) in [(EDGE, FOR_KEEPER), (APISERVER, 0)] {
        let processes = [(stage.keeper(unit), for_keeper), (stage.engine(unit), 0)];
        for (pid, capabilities) in processes {
            let status = status(pid);
            let has = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|key| hex(&status[key]));
            let user: Vec<_> = status["Uid"].split_whitespace().collect();
            let right = has == [capabilities; 4]
                && hex(&status["CapBnd"]) == for_keeper
                && user.len() == 4
                && !user.contains(&"0")
                && status["NoNewPrivs"] == "1"
                && status["Seccomp"] == "2"
                && writable(pid) == WRITABLE;
            if !right {
                wrong.push(format!("{unit}: {status:?}, writes to {:?}", writable(pid)));
            }
        }
    }
    Item::new("3c.2 user, capabilities, seccomp, read-only system, by /proc/PID")
        .bound(
            "not root; edge's keeper net_bind_service and dac_read_search, the others nothing; \
             seccomp filters, no_new_privs; writable are only the unit's directories",
        )
        .n(4)
        .note(format!("writable: {}", WRITABLE.join(" ")))
        .record(wrong.is_empty(), wrong_of(4, &wrong));
}

fn reloads(stage: &Stage) {
    let more = ([192, 168, 1, 2], 8443);
    let (keeper, engine) = (stage.keeper(EDGE), stage.engine(EDGE));
    let reload = |text: &str| {
        stage.write("/etc/eclusa/edge.toml", text);
        stage.booted.systemctl(&["reload", EDGE])
    };
    let two = CONFIG.replace(".2:443\"]", ".2:443\", \"192.168.1.2:8443\"]");
    let good = reload(&format!("{two}{MORE}"));
    let both = stage.answers(WEB) && stage.answers(more);
    let broken = reload("nonsense = 1\n");
    let still = stage.answers(WEB) && stage.answers(more) && stage.is_running(EDGE);
    let same = (stage.keeper(EDGE), stage.engine(EDGE)) == (keeper, engine);
    let result = stage.booted.property(EDGE, "ReloadResult");
    let told = stage.booted.journal(EDGE).contains("nonsense");
    // A file in force again, for whoever comes next.
    let again = reload(&format!("{CONFIG}{MORE}"));
    let codes = [&good, &broken, &again].map(|said| said.code);
    Item::new("3c.3 systemctl reload, a good file, a broken one, a good one")
        .bound("exit 0, not 0, 0; the broken one changes nothing, and the journal says why")
        .n(3)
        .record(
            codes == [Some(0), Some(1), Some(0)] && both && still && same && told,
            format!("{codes:?}; after the broken one: {result}, both listeners serve: {still}"),
        );
}

/// The command of the shipped `eclusa.logrotate`.
fn after_rotation() -> String {
    let text = include_str!("../../../systemd/eclusa.logrotate");
    let (_, script) = text.split_once("postrotate\n").unwrap();
    script.split_once("endscript").unwrap().0.trim().to_owned()
}

fn logs(stage: &Stage) {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let directory = stage.booted.path("/var/log/eclusa");
    let (file, old) = (directory.join("edge.log"), directory.join("edge.log.1"));
    let sessions = |path: &Path| read(path).lines().filter(|line| line.contains("session")).count();
    let before = sessions(&file);
    wait_until(PATIENCE, "a record in the file", || stage.answers(WEB) && sessions(&file) > before);
    std::fs::rename(&file, &old).unwrap();
    let said = stage.booted.run(&["sh", "-c", &after_rotation()]);
    wait_until(PATIENCE, "a new file", || file.exists());
    wait_until(PATIENCE, "a record in it", || stage.answers(WEB) && sessions(&file) > 0);
    let ready =
        ["journalctl", "--no-pager", "-o", "cat", "ECLUSA_EVENT=ready", "_TRANSPORT=journal"];
    let in_journal = stage.booted.run(&ready).text.lines().count();
    Item::new("3c.4 log files (LogsDirectory=), eclusa.logrotate's command, fields in the journal")
        .bound("sessions in the file, in the new one after SIGUSR1; events found by their field")
        .record(
            said.code == Some(0) && in_journal == 1,
            format!("{} records before, {} after", sessions(&old), sessions(&file)),
        );
}

/// It takes a chown(2), of which the unit's list of system calls allows one form.
fn group(stage: &Stage) {
    let socket = std::fs::metadata(stage.booted.path("/run/eclusa/edge.sock")).unwrap();
    let (group, mode) = (socket.gid(), socket.mode() & 0o777);
    Item::new("3c.5 the admin socket for a group (`admin.group`) under the unit's system calls")
        .bound("group adm, mode 0660")
        .record(group == ADM && mode == 0o660, format!("group {group}, mode {mode:04o}"));
}

fn stops(stage: &Stage) {
    let mut codes = Vec::new();
    let begun = Instant::now();
    for unit in [EDGE, APISERVER] {
        codes.push(stage.booted.systemctl(&["stop", unit]).code);
    }
    let took = begun.elapsed();
    let state = |unit| ["ActiveState", "Result"].map(|name| stage.booted.property(unit, name));
    let stopped = [EDGE, APISERVER].iter().all(|unit| state(unit) == ["inactive", "success"]);
    // As at the next boot.
    codes.push(stage.booted.systemctl(&["enable", EDGE]).code);
    codes.push(stage.booted.systemctl(&["isolate", "multi-user.target"]).code);
    let begins = stage.is_running(EDGE) && stage.answers(WEB);
    Item::new("3c.6 systemctl stop; enabled, the target of the boot starts it")
        .bound("inactive with result success; active again by multi-user.target")
        .n(2)
        .worst(format!("{} ms for both", took.as_millis()))
        .record(codes == [Some(0); 4] && stopped && begins, format!("exit codes {codes:?}"));
}
