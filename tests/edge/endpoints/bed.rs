//! Three endpoints in a cluster, each on a host of its own.

use super::endpoint::Faulty;
use eclusa_testkit::netns::{Cluster, Host, Shape};
use std::net::SocketAddr;

/// The endpoints; whoever is before them must be gone first.
pub(crate) struct Bed {
    pub(crate) endpoints: Vec<Faulty>,
    pub(crate) addresses: Vec<SocketAddr>,
    cluster: Cluster,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 3, ..Shape::default() }).unwrap();
        let hosts: Vec<Host> =
            (1..=3).map(|number| cluster.host(&format!("worker{number}"))).collect();
        let addresses: Vec<_> = hosts.iter().map(|host| host.at(80)).collect();
        let started = hosts.iter().zip(&addresses).map(|(host, at)| Faulty::start(host, *at));
        Self { endpoints: started.collect(), addresses, cluster }
    }

    pub(crate) fn host(&self, name: &str) -> Host {
        self.cluster.host(name)
    }

    /// How many requests each has got.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.endpoints.iter().map(Faulty::asked).collect()
    }
}
