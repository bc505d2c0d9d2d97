//! Simulated worlds: devices, servers, networks and disks that fail, and an oracle that knows what must hold.
//!
//! The shipping code runs unchanged; only its doors are simulated: the clock, the random seed, SQLite's file
//! system and the transport.

pub mod bench;
pub mod canaries;
pub mod coverage;
pub mod doors;
pub mod event;
pub mod generate;
pub mod oracle;
pub mod shrink;
pub mod vfs;
pub mod world;
