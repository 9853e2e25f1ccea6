//! Where everything is on the bed: for each address of haproxy.cfg one of loopback for HAProxy, and one
//! for ours.
//!
//! Ports are moved, for the host's own services may have them; all that are the same in haproxy.cfg
//! stay the same. Each endpoint of each section has an address of its own, so that whoever gets a
//! request tells which section it was sent to, even where several lead to one address.

use eclusa_config::plan::Program;
use eclusa_haproxy_import::outline::{Outline, Port};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// The most endpoints that the bed has, on each side.
const PLACES_MAX: usize = 500;

/// The most addresses of listeners.
const OPENINGS_MAX: usize = 500;

/// Ports from here on are looked at; above are those that the kernel gives to clients.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Haproxy = 0,
    Ours = 1,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Haproxy, Self::Ours];
}

/// An address that clients come to.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// The section, by its place among the fronts.
    pub(crate) front: usize,
    /// The `bind`, by its place there.
    pub(crate) opening: usize,
    /// As haproxy.cfg has it.
    pub(crate) address: SocketAddr,
    /// On the bed: HAProxy's, ours.
    pub(crate) bed: [SocketAddr; 2],
}

/// An address that traffic can go to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Sections and their endpoints that are there.
    pub(crate) owners: BTreeSet<(usize, usize)>,
    /// On the bed, for HAProxy and for ours.
    pub(crate) bed: [SocketAddr; 2],
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) opens: Vec<Open>,
    pub(crate) places: Vec<Place>,
    ports: BTreeMap<u16, u16>,
    /// By section, host and port as haproxy.cfg has them.
    known: HashMap<(usize, String, u16), usize>,
    /// By section and endpoint: where HAProxy is told to go, without a port or with.
    hosts: HashMap<(usize, String), [Ipv4Addr; 2]>,
    /// Hosts are the same in all sections.
    shared: bool,
    next: u32,
    block: (u8, u8),
}

impl Layout {
    /// Lays everything out.
    ///
    /// # Errors
    /// There is too much of it, or no port is free.
    pub(crate) fn new(
        outline: &Outline,
        program: Program,
        random: &mut fastrand::Rng,
    ) -> Result<Self, String> {
        let mut layout = Self {
            opens: Vec::new(),
            places: Vec::new(),
            ports: BTreeMap::new(),
            known: HashMap::new(),
            hosts: HashMap::new(),
            // Its masters are hosts, each with all ports.
            shared: program == Program::Apiserver,
            next: 0,
            block: (random.u8(16..=250), random.u8(0..=200)),
        };
        layout.name_ports(outline, random)?;
        layout.listeners(outline)?;
        layout.endpoints(outline)?;
        Ok(layout)
    }

    /// An address that no other has.
    fn fresh(&mut self) -> Ipv4Addr {
        let number = self.next;
        self.next += 1;
        let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        let (second, third) = self.block;
        Ipv4Addr::new(127, second, third + byte(number / 250).min(50), byte(number % 250 + 1))
    }

    /// The port that stands for one of haproxy.cfg.
    pub(crate) fn port(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }

    /// Whether clients come to a port.
    pub(crate) fn is_port(&self, port: u16) -> bool {
        self.ports.contains_key(&port)
    }

    fn name_ports(&mut self, outline: &Outline, random: &mut fastrand::Rng) -> Result<(), String> {
        let opened = outline.fronts.iter().flat_map(|front| &front.openings);
        let opened = opened.flat_map(|it| &it.addresses).map(SocketAddr::port);
        let of_members = outline.backs.iter().flat_map(|back| &back.members);
        let of_members = of_members.filter_map(|member| match member.port {
            Port::One(port) => Some(port),
            _ => None,
        });
        let wanted: BTreeSet<u16> = opened.chain(of_members).collect();
        let start = random.u16(PORTS.start..PORTS.end - 4_000);
        let mut free = (start..PORTS.end).chain(PORTS.start..start).filter(|port| {
            // Somebody who listens at all addresses, or at any of them, is in the way.
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
        });
        for port in wanted {
            let on_bed = free.next().ok_or("no ports between 20000 and 32000 are free here")?;
            self.ports.insert(port, on_bed);
        }
        Ok(())
    }

    fn listeners(&mut self, outline: &Outline) -> Result<(), String> {
        let mut ips: HashMap<IpAddr, [Ipv4Addr; 2]> = HashMap::new();
        for (front, section) in outline.fronts.iter().enumerate() {
            for (opening, bind) in section.openings.iter().enumerate() {
                for address in &bind.addresses {
                    let known = ips.get(&address.ip()).copied();
                    let pair = known.unwrap_or_else(|| [self.fresh(), self.fresh()]);
                    ips.insert(address.ip(), pair);
                    let port = self.port(address.port());
                    let bed = pair.map(|ip| SocketAddr::new(ip.into(), port));
                    self.opens.push(Open { front, opening, address: *address, bed });
                }
            }
        }
        if self.opens.len() > OPENINGS_MAX {
            return Err(format!(
                "{} addresses: the bed has room for {OPENINGS_MAX}",
                self.opens.len()
            ));
        }
        Ok(())
    }

    fn endpoints(&mut self, outline: &Outline) -> Result<(), String> {
        for (back, section) in outline.backs.iter().enumerate() {
            let fronts = outline.fronts.iter().enumerate();
            let leading = fronts.filter(|(_, front)| front.backs.contains(&back));
            let leading: Vec<usize> = leading.map(|(index, _)| index).collect();
            let ports: BTreeSet<u16> = self
                .opens
                .iter()
                .filter(|open| leading.contains(&open.front))
                .map(|open| open.address.port())
                .collect();
            for (member, it) in section.members.iter().enumerate() {
                if !is_dialled(&it.host) {
                    continue;
                }
                let all: Vec<(u16, u16)> = match it.port {
                    Port::One(port) => vec![(port, self.port(port))],
                    Port::None => ports.iter().map(|port| (*port, self.port(*port))).collect(),
                    Port::Offset(offset) => {
                        let add = |port: u16| u16::try_from(i32::from(port) + offset).ok();
                        let pair = |port: &u16| Some((add(*port)?, add(self.port(*port))?));
                        ports.iter().filter_map(pair).collect()
                    }
                    Port::Range(..) => Vec::new(),
                };
                for (port, on_bed) in all {
                    self.place((back, member), &it.host, (port, on_bed));
                }
            }
        }
        if self.places.len() > PLACES_MAX {
            return Err(format!(
                "{} endpoints: the bed has room for {PLACES_MAX}",
                self.places.len()
            ));
        }
        Ok(())
    }

    fn place(&mut self, owner: (usize, usize), host: &str, (port, on_bed): (u16, u16)) {
        let host = host.to_ascii_lowercase();
        let section = if self.shared { 0 } else { owner.0 };
        let key = (section, host.clone(), port);
        if let Some(index) = self.known.get(&key) {
            self.places[*index].owners.insert(owner);
            return;
        }
        let known = self.hosts.get(&(section, host.clone())).copied();
        let pair = known.unwrap_or_else(|| [self.fresh(), self.fresh()]);
        self.hosts.insert((section, host), pair);
        self.known.insert(key, self.places.len());
        let bed = pair.map(|ip| SocketAddr::new(ip.into(), on_bed));
        self.places.push(Place { owners: BTreeSet::from([owner]), bed });
    }

    /// The place of an endpoint by what haproxy.cfg calls it.
    pub(crate) fn place_of(&self, back: usize, host: &str, port: u16) -> Option<usize> {
        let section = if self.shared { 0 } else { back };
        self.known.get(&(section, host.to_ascii_lowercase(), port)).copied()
    }

    /// The address alone.
    pub(crate) fn host_of(&self, side: Side, back: usize, host: &str) -> Option<Ipv4Addr> {
        let section = if self.shared { 0 } else { back };
        self.hosts.get(&(section, host.to_ascii_lowercase())).map(|pair| pair[side as usize])
    }

    /// Where ours listens instead of an address as the import wrote it.
    pub(crate) fn opened(&self, side: Side, address: SocketAddr) -> Option<SocketAddr> {
        let open = self.opens.iter().find(|open| open.address == address)?;
        Some(open.bed[side as usize])
    }
}

/// Whether HAProxy would dial it: not where the client wanted to go, nor a socket of this host.
fn is_dialled(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => !ip.is_unspecified() && !ip.is_multicast(),
        Err(_) => !host.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{File, Options};

    fn laid_out(text: &str, program: Program) -> (Outline, Layout) {
        let files = [File { name: "a.cfg".to_owned(), text: text.to_owned() }];
        let outline = outline(&files, &Options::default());
        let layout = Layout::new(&outline, program, &mut fastrand::Rng::with_seed(1)).unwrap();
        (outline, layout)
    }

    const TEXT: &str = "\
listen a
    bind *:80
    bind 10.0.0.1:80
    server one 10.0.1.1:80
    server two 10.0.1.1
    server off 10.0.1.2:+1
listen b
    bind *:81
    server one 10.0.1.1:80
";

    #[test]
    fn every_section_has_endpoints_of_its_own_and_ports_stay_the_same() {
        let (_, layout) = laid_out(TEXT, Program::Edge);
        assert_eq!(layout.opens.len(), 3);
        let [star, named, other] = &layout.opens[..] else { panic!() };
        assert_ne!(star.bed[0].ip(), named.bed[0].ip());
        assert_eq!(star.bed[0].port(), named.bed[1].port());
        assert_eq!(star.bed[0].ip(), other.bed[0].ip());
        assert_ne!(star.bed[0], star.bed[1]);
        let one = layout.place_of(0, "10.0.1.1", 80).unwrap();
        assert_eq!(layout.places[one].owners.len(), 2, "the same address is one endpoint");
        assert_eq!(layout.places[one].bed[0].port(), layout.port(80));
        let off = layout.place_of(0, "10.0.1.2", 81).unwrap();
        assert_eq!(layout.places[off].bed[0].port(), layout.port(80) + 1);
        assert_ne!(layout.place_of(1, "10.0.1.1", 80).unwrap(), one);
        assert!(layout.places.iter().all(|it| it.bed[0].ip() != it.bed[1].ip()));
        assert!(layout.opened(Side::Ours, "0.0.0.0:80".parse().unwrap()).is_some());
        assert!(layout.opened(Side::Ours, "0.0.0.0:82".parse().unwrap()).is_none());
    }

    #[test]
    fn masters_are_the_same_hosts_at_all_ports() {
        let text = "listen a\n bind *:6443\n server m 10.0.0.1:6443\n\
                    listen b\n bind *:9345\n server m 10.0.0.1:9345\n";
        let (_, layout) = laid_out(text, Program::Apiserver);
        let a = &layout.places[layout.place_of(0, "10.0.0.1", 6443).unwrap()];
        let b = &layout.places[layout.place_of(1, "10.0.0.1", 9345).unwrap()];
        assert_eq!(a.bed[1].ip(), b.bed[1].ip());
        assert_eq!(a.bed[1].port(), layout.port(6443));
        assert_eq!(b.bed[1].port(), layout.port(9345));
    }
}
