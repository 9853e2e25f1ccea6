//! Endpoints in trouble, with clients that go on: what of it they feel, beside HAProxy and nginx that
//! were tuned for it; and what decides on the endpoint of an exchange.

mod bed;
mod candidate;
mod clients;
mod endpoint;
mod place;
mod retries;
mod table;
