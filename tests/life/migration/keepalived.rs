//! Debian's keepalived on a host of the cluster.

use e2e::product::PATIENCE;
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Runner, Running, Scratch, Signal};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// How long it may take to let go of its address and end.
const END: std::time::Duration = std::time::Duration::from_secs(5);

/// kubeadm's check in its guide for clusters with two balancers: through the balancer itself.
const CHECK: &str = "#!/bin/sh\n\
    curl --silent --max-time 2 --insecure https://localhost:6443/healthz -o /dev/null || exit 1\n";

/// Its configuration, and the files that it names.
pub(super) struct Files {
    directory: Scratch,
    priority: u8,
    own: Ipv4Addr,
    peer: Ipv4Addr,
}

impl Files {
    /// For a host at `own` that shares the address with the one at `peer`.
    pub(super) fn new(priority: u8, own: Ipv4Addr, peer: Ipv4Addr) -> Self {
        let directory = Scratch::new("keepalived").unwrap();
        let files = Self { directory, priority, own, peer };
        let script = files.directory.write("check_apiserver.sh", CHECK).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        files.write(&format!(
            "vrrp_script check_apiserver {{\n  script \"{}\"\n  interval 1\n  fall 2\n  rise 1\n}}\n",
            script.display()
        ));
        files
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("keepalived.conf")
    }

    fn write(&self, check: &str) {
        let Self { priority, own, peer, .. } = self;
        let vip = eclusa_testkit::netns::LB_VIP;
        let text = format!(
            "global_defs {{\n  vrrp_version 3\n}}\n{check}vrrp_instance api {{\n  state BACKUP\n  \
             interface cluster\n  virtual_router_id 51\n  priority {priority}\n  advert_int 0.2\n  \
             unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n  }}\n  virtual_ipaddress {{\n    \
             {vip}/32 dev cluster\n  }}\n  track_script {{\n    check_apiserver\n  }}\n}}\n"
        );
        self.directory.write("keepalived.conf", &text).unwrap();
    }
}

/// It runs; ended in good order when dropped.
pub(super) struct Keepalived {
    running: Running,
    files: Files,
}

impl Keepalived {
    #[track_caller]
    pub(super) fn start(host: &Host, files: Files) -> Self {
        let directory = files.directory.path();
        // In the foreground, VRRP alone, with files of its own.
        let runner = Runner::new("keepalived")
            .host(host)
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file"])
            .args([files.path()])
            .args(["--pid".into(), directory.join("pid")])
            .args(["--vrrp_pid".into(), directory.join("vrrp_pid")]);
        let mut running = runner.start().unwrap();
        running.wait_for_line(PATIENCE, "its start", |line| line.contains("Entering BACKUP STATE"));
        Self { running, files }
    }

    #[track_caller]
    pub(super) fn wait_for_address(&mut self) {
        self.running
            .wait_for_line(PATIENCE, "the address", |line| line.contains("Entering MASTER STATE"));
    }

    /// Its configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.files.path()
    }

    /// Takes another check, as `systemctl reload keepalived` does.
    #[track_caller]
    pub(super) fn check_by(&mut self, check: &str) {
        self.files.write(check);
        self.running.signal(Signal::HUP).unwrap();
        self.running.wait_for_line(PATIENCE, "its reload", |line| line.contains("Reload complete"));
    }

    /// The states that it has been in.
    pub(super) fn states(&self) -> Vec<String> {
        let lines = self.running.stderr_lines();
        let state = |line: &String| Some(line.split_once("Entering ")?.1.replace(" STATE", ""));
        lines.iter().filter_map(state).collect()
    }

    /// Whether a check has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.running
            .stderr_lines()
            .iter()
            .any(|line| line.contains("VRRP_Script") && line.contains("failed"))
    }

    pub(super) fn stop(&mut self) {
        if self.running.signal(Signal::TERM).is_ok() {
            self.running.wait_exit(END);
        }
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // Its children end with it; else the guard kills them all.
        let _ = self.running.signal(Signal::TERM);
    }
}
