//! Floods: two attackers at full speed on one listener, and who asks for something at another one.

mod bed;
mod candidate;
mod good;
mod table;
