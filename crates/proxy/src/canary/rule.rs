//! What nftables is told: pure text, in its own language (nft(8)).
//!
//! A canary is a table of its own for the address that connections are taken from, put in place of the one
//! before it in one transaction. Its first chain sees the first packet of each connection:
//!
//! 1. Not for the address, not on this host now, not a SYN: left alone. Connections that stood before
//!    connection tracking began are met in their middle, and have no SYN.
//! 2. The port is an element of a set, and elements have an end: when the time is over nothing matches any more,
//!    whatever has become of us.
//! 3. A share of them is moved, and remembered for some seconds by address, port and sequence number. A SYN that
//!    comes again got no answer from us, so it goes where all went before: the client is a second late, not
//!    refused.
//!
//! For 3 the second chain keeps back what this host says to such a SYN where nobody listens any more, or a
//! packet filter rejects it: the client hears nothing and sends its SYN again, as TCP does.
//!
//! The table stays after the end: with the last user of address translation the kernel takes its hooks away, and
//! connections that were moved would be cut in their middle.

use eclusa_config::plan::Program;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// How long a moved SYN is remembered: TCP sends it again after 1, 3 and 7 seconds.
const REMEMBERED: &str = "10s";
/// Moved SYNs that are remembered at most; beyond that nothing is moved.
const REMEMBERED_MAX: u32 = 1 << 18;
/// Before those who translate at the usual place (-100): what they say of the port is about HAProxy's.
const PRIORITY: i32 = -101;
/// The set while the end is a matter of time alone.
const TIMED: &str = "taken";
/// The set while a process renews it: with its process id behind it, so that nobody renews what is another's.
const HELD: &str = "held_";

/// A share of new connections, in thousandths: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u16);

impl Share {
    const ALL: u16 = 1000;

    /// In percent, for programs.
    pub(super) fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }

    fn is_all(self) -> bool {
        self.0 == Self::ALL
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, tenth) => write!(f, "{whole}.{tenth}%"),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            let is_number =
                (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse::<u16>().ok()).flatten()
        };
        let share = digits(whole, 3).zip(digits(tenth, 1)).map(|(whole, tenth)| whole * 10 + tenth);
        match share {
            Some(0) => Err("nothing would be moved: `off` ends a canary".to_owned()),
            Some(share) if share <= Self::ALL => Ok(Self(share)),
            _ => Err("write a share from 0.1% to 100%, or `off`".to_owned()),
        }
    }
}

/// Where connections are moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct To {
    /// Another address of this host; `None`: the one that the client named.
    pub(super) address: Option<IpAddr>,
    /// The port of our listener.
    pub(super) port: u16,
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

impl FromStr for To {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
            return Ok(Self { address: None, port });
        }
        let address: SocketAddr = text.parse()?;
        Ok(Self { address: Some(address.ip()), port: address.port() })
    }
}

/// When it goes back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After this time.
    After(Duration),
    /// Soon after this process no longer renews it.
    Held(u32),
}

impl End {
    /// Without a renewal it ends after so long.
    const UNRENEWED: Duration = Duration::from_secs(5);

    fn set(self) -> String {
        match self {
            Self::After(_) => TIMED.to_owned(),
            Self::Held(pid) => format!("{HELD}{pid}"),
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::After(time) => time.as_secs().max(1),
            Self::Held(_) => Self::UNRENEWED.as_secs(),
        }
    }
}

/// The table of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// `ip` or `ip6`.
    pub(super) family: &'static str,
    pub(super) name: String,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

impl Table {
    /// What all names of tables of this program begin with.
    pub(super) fn prefix(program: Program) -> String {
        format!("eclusa_canary_{}_", program.short_name())
    }

    /// The one for connections to `take`.
    pub(super) fn of(program: Program, take: SocketAddr) -> Self {
        let family = if take.is_ipv4() { "ip" } else { "ip6" };
        // Names of nftables know no colon.
        let address = take.ip().to_string().replace(':', "-");
        Self { family, name: format!("{}{address}_{}", Self::prefix(program), take.port()) }
    }

    /// The set whose element says that connections are moved, by its name.
    pub(super) fn is_switch(set: &str) -> bool {
        set == TIMED || Self::holder(set).is_some()
    }

    /// The process that renews this set.
    pub(super) fn holder(set: &str) -> Option<u32> {
        set.strip_prefix(HELD)?.parse().ok()
    }

    /// Ends it at once: the table stays.
    pub(super) fn off(&self, set: &str) -> String {
        format!("flush set {self} {set}\n")
    }

    /// Takes it away, with what connections that were moved live from.
    pub(super) fn delete(&self) -> String {
        format!("delete table {self}\n")
    }
}

/// A canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(super) table: Table,
    /// Where clients go; an unspecified address is every address of this host.
    pub(super) take: SocketAddr,
    pub(super) share: Share,
    pub(super) to: To,
    /// The name of our listener, to be told.
    pub(super) listener: String,
    pub(super) end: End,
}

/// What rules say of themselves, so that they are found again.
pub(super) mod comment {
    pub(in crate::canary) const SEEN: &str = "new ";
    pub(in crate::canary) const MOVED: &str = "moved ";
    pub(in crate::canary) const RETURNED: &str = "returned";
    pub(in crate::canary) const LISTENER: &str = "listener ";
    /// nft's limit is 128 bytes; a longer name of a listener is not told.
    pub(in crate::canary) const NAME_MAX: usize = 100;
}

impl Rule {
    /// One transaction: what was in force for this address before ends as this begins.
    pub(super) fn text(&self) -> String {
        let Self { table, take, share, to, end, .. } = self;
        let (set, seconds) = (end.set(), end.seconds());
        let ip = table.family;
        let port = take.port();
        let only = match take.ip() {
            address if address.is_unspecified() => String::new(),
            address => format!("    {ip} daddr != {address} return\n"),
        };
        let chance = match share.is_all() {
            true => String::new(),
            false => format!("numgen random mod {} < {} ", Share::ALL, share.0),
        };
        // Deleting what is not there is an error, so it is added first.
        format!(
            "add table {table}\n\
             delete table {table}\n\
             table {table} {{\n\
             \x20 set {set} {{\n\
             \x20   type inet_service; flags timeout;\n\
             \x20   elements = {{ {port} timeout {seconds}s }}\n\
             \x20 }}\n\
             \x20 set tried {{\n\
             \x20   typeof {ip} saddr . tcp sport . tcp sequence; size {REMEMBERED_MAX};\n\
             \x20   flags dynamic,timeout; timeout {REMEMBERED}; gc-interval 1s;\n\
             \x20 }}\n\
             \x20 chain prerouting {{\n\
             \x20   type nat hook prerouting priority {PRIORITY}; policy accept;\n\
             {only}\
             \x20   tcp dport != @{set} return\n\
             \x20   fib daddr type != local return\n\
             \x20   tcp flags & (fin | syn | rst | ack) != syn return\n\
             \x20   counter comment \"{}{take}\"\n\
             \x20   {ip} saddr . tcp sport . tcp sequence @tried counter return comment \"{}\"\n\
             \x20   {chance}add @tried {{ {ip} saddr . tcp sport . tcp sequence }} counter dnat to {to} \
             comment \"{}{share} to {to}\"\n\
             \x20 }}\n\
             \x20 chain output {{\n\
             \x20   type filter hook output priority 0; policy accept;\n\
             \x20   {}\n\
             \x20   {} drop\n\
             \x20 }}\n\
             }}\n",
            comment::SEEN,
            comment::RETURNED,
            comment::MOVED,
            self.refusal(),
            self.unreachable(),
        )
    }

    /// The reset that answers a SYN has the sequence number 0 (RFC 9293, section 3.10.7.1); none of a
    /// connection that was made has.
    fn refusal(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = Some(self.listener.as_str())
            .filter(|name| name.len() <= comment::NAME_MAX && name.chars().all(is_plain))
            .unwrap_or_default();
        format!(
            "tcp sport {} tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 ct status dnat \
             ct original proto-dst {} counter drop comment \"{}{name}\"",
            self.to.port,
            self.take.port(),
            comment::LISTENER,
        )
    }

    /// A packet filter that rejects says so by ICMP; the SYN stands in it behind 8 bytes of its own and an
    /// IP header without options, the protocol at byte 9 or 6 of that, the port at byte 2 behind it.
    fn unreachable(&self) -> String {
        let (icmp, other, header, protocol) = match self.take.is_ipv4() {
            // A packet that was too long is told of in the same type, and that must come through.
            true => ("icmp", "icmp code != frag-needed ", 20, 9),
            false => ("icmpv6", "", 40, 6),
        };
        format!(
            "{icmp} type destination-unreachable {other}@th,{},8 6 @th,{},16 {} counter",
            (8 + protocol) * 8,
            (8 + header + 2) * 8,
            self.to.port,
        )
    }

    /// One more while for what this process holds. It fails where somebody has ended or replaced it.
    pub(super) fn renewal(&self) -> String {
        let (table, set) = (&self.table, self.end.set());
        let (port, seconds) = (self.take.port(), self.end.seconds());
        format!(
            "delete element {table} {set} {{ {port} }}\n\
             add element {table} {set} {{ {port} timeout {seconds}s }}\n"
        )
    }

    /// Ends it at once.
    pub(super) fn off(&self) -> String {
        self.table.off(&self.end.set())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(take: &str, share: &str, to: &str, end: End) -> Rule {
        let take = take.parse().unwrap();
        Rule {
            table: Table::of(Program::Apiserver, take),
            take,
            share: share.parse().unwrap(),
            to: to.parse().unwrap(),
            listener: "apiserver".to_owned(),
            end,
        }
    }

    #[test]
    fn the_text_is_one_transaction() {
        let hour = End::After(Duration::from_secs(3600));
        let text = rule("10.0.0.5:6443", "5%", ":16443", hour).text();
        assert_eq!(text, include_str!("golden/five.nft"));
    }

    #[test]
    fn what_differs_for_other_addresses_shares_and_ends() {
        let text = rule("[2001:db8::5]:443", "100%", "[2001:db8::2]:8443", End::Held(12)).text();
        for part in [
            "table ip6 eclusa_canary_apiserver_2001-db8--5_443 {\n",
            "set held_12 {\n",
            "elements = { 443 timeout 5s }",
            "ip6 daddr != 2001:db8::5 return\n",
            "\n    add @tried { ip6 saddr . tcp sport . tcp sequence } counter dnat to [2001:db8::2]:8443 ",
            "icmpv6 type destination-unreachable @th,112,8 6 @th,400,16 8443 counter drop\n",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        let text = rule("0.0.0.0:443", "0.1%", ":8443", End::Held(12)).text();
        assert!(!text.contains("daddr !="), "{text}");
        assert!(text.contains("fib daddr type != local return"), "{text}");
        assert!(text.contains("numgen random mod 1000 < 1 add"), "{text}");
    }

    #[test]
    fn a_renewal_fails_where_there_is_nothing_to_renew() {
        let rule = rule("10.0.0.5:6443", "5%", ":16443", End::Held(12));
        let table = "ip eclusa_canary_apiserver_10.0.0.5_6443";
        assert_eq!(
            rule.renewal(),
            format!(
                "delete element {table} held_12 {{ 6443 }}\n\
                 add element {table} held_12 {{ 6443 timeout 5s }}\n"
            )
        );
        assert_eq!(rule.off(), format!("flush set {table} held_12\n"));
        assert!(Table::is_switch("held_12") && Table::is_switch("taken"));
        assert!(!Table::is_switch("held_x") && !Table::is_switch("tried"));
    }

    #[test]
    fn shares_are_percents() {
        for (text, shown, thousandths) in
            [("5%", "5%", 50), ("5", "5%", 50), ("0.5%", "0.5%", 5), ("100%", "100%", 1000)]
        {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.to_string().as_str(), share.0), (shown, thousandths));
        }
        for wrong in
            ["", "%", "0%", "101%", "100.1%", "5.55%", "-5%", "+5%", ".5%", "5.%", "1e2%", "٥%"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in [":16443", "10.0.0.10:6443", "[2001:db8::2]:443"] {
            assert_eq!(text.parse::<To>().unwrap().to_string(), text);
        }
        assert!("16443".parse::<To>().is_err() && ":x".parse::<To>().is_err());
    }

    #[test]
    fn names_that_nft_would_not_take_are_left_out() {
        let mut rule = rule("10.0.0.5:6443", "5%", ":16443", End::Held(1));
        for name in ["a\" }", &"x".repeat(101), "ä"] {
            rule.listener = name.to_owned();
            assert!(rule.text().contains("comment \"listener \"\n"), "{}", rule.text());
        }
    }
}
