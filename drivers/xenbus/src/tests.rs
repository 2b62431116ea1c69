//! The pure parts by themselves, and the client against a daemon that is scripted byte by byte.
//! The client against a whole xenstored, and the devices, are tested in `tools/sim`.

mod back_states;
mod backends;
mod daemon;
mod dying;
mod random;
mod requests;
mod states;
mod text;
mod trees;
mod watches;
mod wire;
