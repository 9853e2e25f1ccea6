//! Words of `global`.

use super::Fate::{Carried, Default, Ignored, Improved, Unsupported};
use super::{Row, row};

pub(crate) const GLOBAL: &[Row] = &[
    row(
        "maxconn",
        Carried,
        "`sessions_max`: beyond it clients wait in the kernel's queue, as with HAProxy",
    ),
    row(
        "log",
        Carried,
        "`[log]`: target, facility; below level `info` no records of sessions, but events",
    ),
    row("log-tag", Carried, "`log.tag`"),
    row(
        "stats",
        Carried,
        "`stats socket`: `[haproxy_socket]`, at a path of its own; `level user` and `operator` are `read`, `admin` is `operator`",
    ),
    row("nbthread", Carried, "`workers`"),
    row("hard-stop-after", Carried, "`stop_deadline`"),
    row("grace", Carried, "`lame_duck`"),
    row("ca-base crt-base", Carried, "in front of paths that are not absolute"),
    row(
        "ssl-default-bind-options ssl-default-server-options",
        Carried,
        "`ssl-min-ver TLSv1.3`: `tls.min_version`; 1.2 is the least in any case",
    ),
    row("ssl-server-verify", Carried, "`verify` of endpoints without one of their own"),
    row(
        "tune.bufsize",
        Carried,
        "`http.head_max`, where it is more than the 32 KiB that a head may have anyhow",
    ),
    row("setenv presetenv unsetenv resetenv", Carried, "variables for what follows"),
    row(
        "daemon master-worker mworker-max-reloads",
        Default,
        "systemd runs the service: a keeper holds the sockets and starts the engine anew",
    ),
    row(
        "chroot",
        Default,
        "the engine is confined by Landlock to the files that it needs (`confine`)",
    ),
    row(
        "user group uid gid",
        Default,
        "the unit runs the service as a user of its own, without capabilities",
    ),
    row(
        "set-dumpable strict-limits insecure-fork-wanted insecure-setuid-wanted",
        Ignored,
        "it concerns HAProxy's process",
    ),
    row("pidfile", Ignored, "systemd knows the process: `systemctl show -p MainPID eclusa-edge`"),
    row(
        "nbproc",
        Ignored,
        "one process with a worker for each processor (`workers`); HAProxy has had none since 2.5",
    ),
    row(
        "cpu-map numa-cpu-mapping process-vm noreuseport",
        Ignored,
        "one worker for each processor that the unit may use (`CPUAffinity=` of systemd)",
    ),
    row(
        "ulimit-n fd-hard-limit maxpipes",
        Ignored,
        "`LimitNOFILE=` of the unit; `sessions_max` fits into it by itself",
    ),
    row(
        "noepoll nokqueue nopoll noevports nosplice nogetaddrinfo busy-polling",
        Ignored,
        "a switch inside of HAProxy",
    ),
    row("debug quiet zero-warning", Ignored, "it was for HAProxy in the foreground"),
    row(
        "description node localpeer cluster-secret",
        Ignored,
        "a name on HAProxy's page, or among its peers",
    ),
    row(
        "spread-checks max-spread-checks",
        Default,
        "probes are spread over the interval anyhow (10 % either way)",
    ),
    row(
        "unix-bind",
        Ignored,
        "defaults of UNIX sockets, of which only `stats socket` is carried over, with a mode of its own",
    ),
    row(
        "server-state-file server-state-base",
        Default,
        "orders of operators outlive restarts by themselves; verdicts are found anew",
    ),
    row(
        "ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-curves ssl-default-server-ciphers ssl-default-server-ciphersuites",
        Improved,
        "not carried over: TLS 1.3 and, of TLS 1.2, only suites with forward secrecy and AEAD; clients that know none of these are refused",
    ),
    row(
        "ssl-dh-param-file tune.ssl.default-dh-param",
        Ignored,
        "no suites with finite-field Diffie-Hellman are spoken",
    ),
    row(
        "ssl-engine ssl-mode-async ssl-provider ssl-provider-path ssl-propquery issuers-chain-path ssl-skip-self-issued-ca",
        Ignored,
        "a switch of OpenSSL, which is not used",
    ),
    row(
        "tune.maxrewrite tune.http.* tune.h2.* tune.pipesize tune.rcvbuf.* tune.sndbuf.* tune.ssl.* tune.vars.* tune.idle-pool.* tune.pool-* tune.buffers.* tune.comp.* tune.zlib.* tune.pattern.* tune.peers.* tune.runqueue-depth tune.recv_enough tune.maxaccept tune.maxpollevents tune.idletimer tune.fd.* tune.sched.* tune.fail-alloc tune.listener.* tune.memory.* tune.disable-*",
        Ignored,
        "it tunes what is inside of HAProxy; `docs/tuning.md` says what a host needs",
    ),
    row(
        "tune.quic.* limited-quic no-quic",
        Ignored,
        "QUIC is not spoken; `bind quic4@` says what that means",
    ),
    row(
        "no-memory-trimming profiling.tasks profiling.memory expose-experimental-directives h2-workaround-bogus-websocket-clients anonkey",
        Ignored,
        "a switch inside of HAProxy",
    ),
    row(
        "log-send-hostname",
        Ignored,
        "lines bear the host's name where their form has room for it",
    ),
    row(
        "maxconnrate maxsessrate",
        Unsupported,
        "it held new connections back beyond a rate; now they are taken as they come, up to `sessions_max`; set `limit` of listeners with `http`, by client network",
    ),
    row(
        "maxsslconn maxsslrate",
        Unsupported,
        "it bounded TLS connections or handshakes; now `sessions_max` bounds connections and `tls.handshakes_max` handshakes that wait; check that these do",
    ),
    row("maxcomprate maxcompcpuusage maxzlibmem", Ignored, "nothing is compressed here"),
    row(
        "lua-load lua-load-per-thread lua-prepend-path tune.lua.*",
        Unsupported,
        "it loaded a Lua script; now nothing runs it; do in the application, or with rules, what the script does",
    ),
    row(
        "external-check",
        Unsupported,
        "it allowed checks by a program; now there are none; probe with `kind = \"http\"` or \"tcp\"",
    ),
    row(
        "default-path",
        Unsupported,
        "it said where relative paths begin; now they are taken to begin at `/etc/haproxy`; write absolute paths",
    ),
    row("httpclient.*", Ignored, "HAProxy's own HTTP client, for Lua and OCSP"),
    row(
        "h1-case-adjust h1-case-adjust-file",
        Unsupported,
        "it wrote names of header fields in other cases; now they pass as they came; correct the application that tells cases apart",
    ),
    row(
        "set-var set-var-fmt",
        Unsupported,
        "it set a variable of the process; now nobody has it; write the value where it is used",
    ),
    row(
        "51degrees-* deviceatlas-* wurfl-*",
        Unsupported,
        "it detected devices; now nothing does; do it in the application",
    ),
    row(
        "pp2-never-send-local h1-accept-payload-with-any-method",
        Ignored,
        "a tolerance of HAProxy's that is not needed here",
    ),
];
