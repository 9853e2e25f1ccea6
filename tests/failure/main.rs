//! What must not be lost, cut or leaked when peers are slow, break off, vanish or freeze: TCP
//! through `eclusa-edge` in the cluster of namespaces, every byte compared.

mod breaks;
mod bulk;
mod half_closed;
mod load;
mod memory;
mod mixed;
mod paused;
mod stop;
mod vanished;
