//! What must not be lost, cut or leaked when peers are slow, break off, vanish or freeze: TCP
//! through `eclusa-edge` in the cluster of namespaces, every byte compared.

mod bed;
mod breaks;
mod bulk;
mod half_closed;
mod keeper;
mod load;
mod memory;
mod mixed;
mod paused;
mod stop;
mod vanished;
