//! Load balancer for the Kubernetes API: nodes to masters on :6443.
fn main() {}
