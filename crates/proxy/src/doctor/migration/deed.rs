//! What a line of somebody else's file does to HAProxy. Pure; and what is told of a line is made of words that
//! are known here, never of the line's own: it may hold a password.

use super::places::Comments;

/// What it does. The later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// It has the name in it.
    Names,
    /// It reads its socket, its table or its log.
    Reads,
    /// It asks whether HAProxy runs.
    Looks,
    /// It orders what the mask refuses: start, reload, enable, a signal.
    Orders,
    /// A check that goes through the balancer.
    Through,
    /// A unit that stops with HAProxy's, or does not start without it.
    Needs,
    /// It starts HAProxy where the mask is of no use, or takes the mask away.
    Starts,
}

/// What is known of the host while lines are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// Sockets and files of HAProxy: whoever names one reads it.
    pub(super) sockets: Vec<String>,
    /// Where the balancer listens; only for checks of an address that moves.
    pub(super) ports: Vec<u16>,
    /// One of the ports stands somewhere in the file.
    pub(super) has_port: bool,
}

/// Verbs of systemctl, and of what was before it.
const ORDERS: [&str; 13] = [
    "start",
    "restart",
    "reload",
    "force-reload",
    "try-restart",
    "condrestart",
    "reload-or-restart",
    "try-reload-or-restart",
    "enable",
    "reenable",
    "preset",
    "kill",
    "isolate",
];
const LOOKS: [&str; 5] = ["is-active", "is-enabled", "is-failed", "status", "show"];
/// Keys of units without which there is no start, or that pass a stop on (systemd.unit(5)).
const NEEDS: [&str; 4] = ["Requires", "Requisite", "BindsTo", "PartOf"];
/// What runs no program that it names.
const HANDLES: [&str; 15] = [
    "chmod", "chown", "cp", "dpkg", "echo", "getcap", "install", "ls", "mv", "printf", "rm",
    "setcap", "stat", "test", "which",
];
/// What asks over the network.
const ASKS: [&str; 8] =
    ["curl", "wget", "nc", "ncat", "netcat", "/dev/tcp", "s_client", "check_http"];

/// The line without its comment.
pub(super) fn without_comment(line: &str, comments: Comments) -> &str {
    let begins: &[&str] = match comments {
        Comments::Hash => &["#"],
        Comments::Unit => &["#", ";"],
        Comments::Bang => &["#", "!"],
        Comments::Slashes => &["#", "//", "/*", " *"],
        Comments::None => return line,
    };
    if begins.iter().any(|begin| line.trim_start().starts_with(begin.trim_start())) {
        return "";
    }
    // Behind a blank, and outside of quotes; units know none there.
    let ends: &[u8] = match comments {
        Comments::Unit => b"",
        Comments::Bang => b"#!",
        _ => b"#",
    };
    let (mut single, mut double, mut before) = (false, false, b' ');
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'\'' if !double => single = !single,
            b'"' if !single => double = !double,
            _ if ends.contains(&byte) && !single && !double && before.is_ascii_whitespace() => {
                return &line[..at];
            }
            _ => {}
        }
        before = byte;
    }
    line
}

/// What a line does, and that in words; `None`: nothing to HAProxy.
pub(super) fn of(line: &str, around: &Around) -> Option<(Deed, String)> {
    let decoded = reload_of_acme(line);
    let line = decoded.as_deref().unwrap_or(line);
    let small = line.to_ascii_lowercase();
    let (named, read) = (is_named(&small), reads(&small, around));
    if let Some(found) = through(&small, around) {
        return Some(found);
    }
    if !named && read.is_none() {
        return None;
    }
    let usual = (Deed::Names, "names HAProxy".to_owned());
    let commands = commands(&small);
    let deeds = commands.iter().filter_map(|words| of_command(words));
    let needs = needs(line).into_iter();
    // Of two that are as bad the later one: whatever is more than the mere name.
    [usual].into_iter().chain(deeds).chain(needs).chain(read).max_by_key(|(deed, _)| *deed)
}

fn is_named(small: &str) -> bool {
    small.contains("haproxy") || small.contains("hapee-")
}

/// `Le_ReloadCmd='__ACME_BASE64__START_...'` of acme.sh, in the clear.
fn reload_of_acme(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("__ACME_BASE64__START_")?;
    let (encoded, _) = rest.split_once("__ACME_BASE64__END_")?;
    let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn reads(small: &str, around: &Around) -> Option<(Deed, String)> {
    let socket = around.sockets.iter().any(|socket| small.contains(&socket.to_ascii_lowercase()));
    let what = if socket {
        "reads its socket"
    } else if small.contains(";csv") {
        "reads its table of figures (CSV)"
    } else if small.contains("haproxy.log") {
        "reads or writes its log"
    } else {
        return None;
    };
    Some((Deed::Reads, what.to_owned()))
}

/// A check that asks the balancer's own ports: not where it asks `/vip`.
fn through(small: &str, around: &Around) -> Option<(Deed, String)> {
    let tool = ASKS.iter().find(|tool| has_word(small, tool))?;
    let port = around.ports.iter().find(|port| has_number(small, **port));
    let variable = around.has_port && small.contains('$');
    if small.contains("/vip") || port.is_none() && !variable {
        return None;
    }
    let tool = tool.trim_start_matches('/');
    let where_to =
        port.map_or_else(|| "a port of the balancer".into(), |port| format!("port {port}"));
    Some((Deed::Through, format!("{tool} asks {where_to}")))
}

/// Whether the word stands in the text, and not as a part of another.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    text.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_part) && !behind.starts_with(is_part)
    })
}

/// Whether the number stands in the text, and not as a part of another.
pub(super) fn has_number(text: &str, number: u16) -> bool {
    let number = number.to_string();
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    text.match_indices(&number).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + number.len()..]);
        !digit(before.chars().next_back()) && !digit(behind.chars().next())
    })
}

/// `BindsTo=haproxy.service`
fn needs(line: &str) -> Option<(Deed, String)> {
    let (key, value) = line.trim().split_once('=')?;
    let key = NEEDS.iter().find(|known| **known == key.trim())?;
    let named = value.split_ascii_whitespace().any(is_unit);
    named.then(|| (Deed::Needs, format!("{key}=haproxy.service")))
}

/// The words of a line, command by command.
fn commands(line: &str) -> Vec<Vec<&str>> {
    let ends = |c: char| ";|&()`".contains(c);
    let between = |c: char| c.is_whitespace() || "\"'=,[]{}<>:".contains(c);
    let words = |part| str::split(part, between).filter(|word| !word.is_empty()).collect();
    line.split(ends).map(words).collect()
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a word is HAProxy's unit.
fn is_unit(word: &str) -> bool {
    let name = base(word).trim_end_matches(".service");
    name == "haproxy" || name.starts_with("haproxy@") || name.starts_with("hapee-")
}

fn of_command(words: &[&str]) -> Option<(Deed, String)> {
    let (mut before, mut handles) = ("", false);
    for (at, word) in words.iter().enumerate() {
        let rest = &words[at + 1..];
        let found = match base(word) {
            "systemctl" => systemctl(rest),
            tool @ ("service" | "invoke-rc.d" | "rc-service") => service(tool, rest),
            "haproxy" if word.contains("/init.d/") => order("/etc/init.d/haproxy", rest),
            tool @ ("killall" | "pkill") => signal(tool, rest),
            tool @ ("pidof" | "pgrep") if rest.iter().any(|word| is_unit(word)) => {
                Some((Deed::Looks, format!("{tool} haproxy")))
            }
            "process" if rest.first().is_some_and(|word| is_unit(word)) => {
                Some((Deed::Looks, "process haproxy".to_owned()))
            }
            "image" if rest.iter().any(|word| word.contains("haproxy")) => {
                Some((Deed::Starts, "a container of an image of HAProxy".to_owned()))
            }
            "primitive" if rest.contains(&"haproxy") => {
                Some((Deed::Orders, "a resource that is HAProxy".to_owned()))
            }
            tool @ ("docker" | "podman" | "nerdctl") => container(tool, rest),
            "haproxy" if !handles => program(word, before, rest),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        before = word;
        handles |= HANDLES.contains(&base(word));
    }
    None
}

fn systemctl(rest: &[&str]) -> Option<(Deed, String)> {
    let is_verb = |word: &&str| ORDERS.contains(word) || LOOKS.contains(word) || *word == "unmask";
    let at = rest.iter().position(is_verb)?;
    let verb = rest[at];
    rest[at..].iter().any(|word| is_unit(word)).then_some(())?;
    Some((deed_of(verb), format!("systemctl {verb} haproxy")))
}

fn deed_of(verb: &str) -> Deed {
    match verb {
        "unmask" => Deed::Starts,
        verb if LOOKS.contains(&verb) => Deed::Looks,
        _ => Deed::Orders,
    }
}

/// `service haproxy reload`; of Ansible's module, too: `service: name=haproxy state=restarted`.
fn service(tool: &str, rest: &[&str]) -> Option<(Deed, String)> {
    if let ["name", name, .., "state", state] = rest
        && is_unit(name)
    {
        let state = ["started", "restarted", "reloaded"].iter().find(|known| *known == state)?;
        return Some((Deed::Orders, format!("service: name=haproxy state={state}")));
    }
    let (_, rest) = rest.split_first().filter(|(name, _)| is_unit(name))?;
    order(&format!("{tool} haproxy"), rest)
}

fn order(what: &str, rest: &[&str]) -> Option<(Deed, String)> {
    let verb = rest.first()?;
    let known = ORDERS.iter().chain(&LOOKS).find(|known| *known == verb)?;
    Some((deed_of(known), format!("{what} {known}")))
}

fn signal(tool: &str, rest: &[&str]) -> Option<(Deed, String)> {
    rest.iter().any(|word| is_unit(word)).then_some(())?;
    if rest.contains(&"-0") {
        return Some((Deed::Looks, format!("{tool} -0 haproxy")));
    }
    Some((Deed::Orders, format!("a signal: {tool} haproxy")))
}

fn container(tool: &str, rest: &[&str]) -> Option<(Deed, String)> {
    let verb = ["run", "start", "restart", "up"].iter().find(|verb| rest.contains(*verb))?;
    let named = rest.iter().any(|word| word.contains("haproxy"));
    named.then(|| (Deed::Starts, format!("{tool} {verb}: a container of HAProxy")))
}

/// The program itself, unless it only checks a file or is looked for.
fn program(word: &str, before: &str, rest: &[&str]) -> Option<(Deed, String)> {
    let option = rest.first().is_some_and(|word| word.starts_with('-'));
    let is_path = word.contains("/bin/") || word.contains("/sbin/");
    let looked_for = ["-x", "-f", "-e", "-v", "type"].contains(&before);
    if looked_for || !option && !is_path {
        return None;
    }
    if rest.iter().any(|word| ["-c", "-v", "-vv"].contains(word)) {
        return Some((Deed::Names, "checks its file: haproxy -c".to_owned()));
    }
    Some((Deed::Starts, "runs haproxy itself".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<(Deed, String)> {
        let around = Around { sockets: vec!["/run/hap.sock".into()], ..Around::default() };
        of(line, &around)
    }

    #[track_caller]
    fn is(line: &str, deed: Deed, words: &str) {
        assert_eq!(found(line), Some((deed, words.to_owned())), "{line}");
    }

    #[test]
    fn orders_that_the_mask_refuses() {
        for (line, words) in [
            ("systemctl reload haproxy", "systemctl reload haproxy"),
            (
                "renew_hook = /bin/systemctl --quiet reload haproxy.service",
                "systemctl reload haproxy",
            ),
            ("cat a b > c && systemctl restart haproxy", "systemctl restart haproxy"),
            ("post_hook = sh -c 'service haproxy reload'", "service haproxy reload"),
            ("@daily root /etc/init.d/haproxy restart", "/etc/init.d/haproxy restart"),
            ("  start program = \"/usr/sbin/service haproxy start\"", "service haproxy start"),
            (
                "systemctl is-active -q haproxy || systemctl start haproxy",
                "systemctl start haproxy",
            ),
            ("killall -HUP haproxy", "a signal: killall haproxy"),
            ("- service: name=haproxy state=restarted", "service: name=haproxy state=restarted"),
            (
                "<primitive id=\"lb\" class=\"systemd\" type=\"haproxy\">",
                "a resource that is HAProxy",
            ),
        ] {
            is(line, Deed::Orders, words);
        }
    }

    #[test]
    fn what_a_mask_is_no_help_against() {
        for (line, words) in [
            ("systemctl unmask haproxy && systemctl start haproxy", "systemctl unmask haproxy"),
            (
                "@reboot root /usr/sbin/haproxy -D -f /etc/haproxy/haproxy.cfg",
                "runs haproxy itself",
            ),
            ("ExecStart=/usr/local/sbin/haproxy -Ws -f $CONFIG", "runs haproxy itself"),
            ("command=haproxy -W -f /x", "runs haproxy itself"),
            ("docker start haproxy", "docker start: a container of HAProxy"),
            ("    image: docker.io/library/haproxy:2.6", "a container of an image of HAProxy"),
            ("{\"Image\":\"haproxy:2.6\",\"Env\":[\"P=s\"]}", "a container of an image of HAProxy"),
        ] {
            is(line, Deed::Starts, words);
        }
    }

    #[test]
    fn what_looks_reads_or_only_names() {
        is("script \"killall -0 haproxy\"", Deed::Looks, "killall -0 haproxy");
        is("/usr/bin/pgrep haproxy", Deed::Looks, "pgrep haproxy");
        is("systemctl is-active --quiet haproxy", Deed::Looks, "systemctl is-active haproxy");
        is("check process haproxy with pidfile /x", Deed::Looks, "process haproxy");
        is("servers = [\"/run/hap.sock\"]", Deed::Reads, "reads its socket");
        let csv = "reads its table of figures (CSV)";
        is("curl -su a:b 'http://127.0.0.1:1936/stats;csv'", Deed::Reads, csv);
        is("vrrp_script chk_haproxy {", Deed::Names, "names HAProxy");
        is("/usr/sbin/haproxy -c -f /x", Deed::Names, "checks its file: haproxy -c");
        is("[ -x /usr/sbin/haproxy ] || exit 0", Deed::Names, "names HAProxy");
        is("setcap cap_net_bind_service=+ep /usr/sbin/haproxy", Deed::Names, "names HAProxy");
        is("After=network.target haproxy.service", Deed::Names, "names HAProxy");
        for other in ["systemctl reload nginx", "", "curl http://127.0.0.1:9643/metrics"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn units_that_go_with_it() {
        is("BindsTo=haproxy.service", Deed::Needs, "BindsTo=haproxy.service");
        is("PartOf = a.service haproxy.service", Deed::Needs, "PartOf=haproxy.service");
        is("Wants=haproxy.service", Deed::Names, "names HAProxy");
    }

    #[test]
    fn checks_through_the_balancer() {
        let around = Around { ports: vec![6443], has_port: true, ..Around::default() };
        let told = |line| of(line, &around);
        let through = |words: &str| Some((Deed::Through, words.to_owned()));
        assert_eq!(told("curl -k https://10.0.0.10:6443/"), through("curl asks port 6443"));
        let by_name = "curl -sfk https://localhost:${PORT}/healthz";
        assert_eq!(told(by_name), through("curl asks a port of the balancer"));
        assert_eq!(told("curl http://127.0.0.1:9643/vip"), None);
        assert_eq!(told("curl http://127.0.0.1:16443/"), None);
        assert_eq!(told("nc -z 10.0.0.10 6443"), through("nc asks port 6443"));
        assert_eq!(told("rsync -a /etc/x \"$PEER\":6443"), None);
        assert_eq!(told("echo > /dev/tcp/127.0.0.1/6443"), through("dev/tcp asks port 6443"));
    }

    #[test]
    fn the_command_that_acme_sh_hides_is_read() {
        let hidden = data_encoding::BASE64.encode(b"systemctl reload haproxy");
        let line = format!("Le_ReloadCmd='__ACME_BASE64__START_{hidden}__ACME_BASE64__END_'");
        is(&line, Deed::Orders, "systemctl reload haproxy");
    }

    #[test]
    fn comments_do_nothing() {
        for (line, comments, rest) in [
            ("# systemctl reload haproxy", Comments::Hash, ""),
            ("a # haproxy", Comments::Hash, "a "),
            ("echo '# haproxy'", Comments::Hash, "echo '# haproxy'"),
            ("a#b", Comments::Hash, "a#b"),
            ("; a", Comments::Unit, ""),
            ("A=b # c", Comments::Unit, "A=b # c"),
            ("  ! a", Comments::Bang, ""),
            ("script \"a ! b\" ! c", Comments::Bang, "script \"a ! b\" "),
            ("// a", Comments::Slashes, ""),
            ("# a", Comments::None, "# a"),
        ] {
            assert_eq!(without_comment(line, comments), rest, "{line}");
        }
    }

    #[test]
    fn no_word_of_the_line_itself_is_told() {
        for line in [
            "curl -u haproxy:hunter2 http://127.0.0.1/haproxy?stats;csv",
            "haproxy_password=hunter2",
            "docker run -e PASSWORD=hunter2 haproxy",
            "systemctl restart haproxy --what hunter2",
            "sshpass -p hunter2 ssh lb service haproxy reload",
        ] {
            let (_, words) = found(line).unwrap();
            assert!(!words.contains("hunter2"), "{words}");
        }
    }
}
