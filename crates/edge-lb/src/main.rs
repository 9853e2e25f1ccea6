//! Load balancer at the edge: outside traffic to the ingress VIPs.
fn main() {}
