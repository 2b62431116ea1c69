//! TCP/IP: smoltcp over the network frontend.
//!
//! [`Net`] is what applications hold. It is not generic, as is nothing else here but the task that
//! moves packets between an interface and its [`Wire`].
//!
//! - [`mod@net`]: [`Net`]: interfaces, listening, connecting
//! - [`stream`]: [`TcpListener`], [`TcpStream`] and its halves
//! - [`udp`]: [`UdpSocket`], datagrams
//! - [`ping`]: [`Ping`]: echo requests
//! - [`peer`]: who is one peer
//! - [`address`]: [`AddressSetting`]: what `ip=` says
//! - [`capture`]: [`Capture`], [`Captured`]: packets as they pass, for tcpdump and pcap files
//! - [`status`]: [`InterfaceStatus`], [`SocketStatus`]
//! - [`wire`]: [`Wire`]: what packets go out on
//! - [`error`]: [`NetError`], why not
//!
//! Inside:
//!
//! - `stack`: all interfaces, and what becomes of their connections
//! - `interface`, `addressing`: one interface, and its addresses
//! - `conn`, `listener`, `pool`: connections, who waits for them, and their memory
//! - `turn`, `intake`: moving packets between an interface and its wire, and what comes from that
//! - `devices`: what smoltcp sees of a wire
//! - `ident`: IPv4 packets that a router may cut
//! - `parked`: echo requests that wait for their answer
//! - `growth`: acknowledgements of much, told to smoltcp piece by piece
//! - `segment`, `window`, `sequence`: what smoltcp's segments say otherwise before they leave
//! - `frame`: what a received frame is, and whether the stack may see it
//! - `autoconf`, `advert`: IPv6 addresses made from what routers advertise
//! - `resolve`: names
//! - `decode`: a frame in one line
//! - `clock`: the domain's clock and smoltcp's
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
mod addressing;
mod advert;
mod autoconf;
pub mod capture;
mod clock;
mod conn;
mod decode;
mod devices;
pub mod error;
mod frame;
mod growth;
mod ident;
mod intake;
mod interface;
mod listener;
pub mod net;
mod parked;
pub mod peer;
pub mod ping;
mod pool;
mod resolve;
mod segment;
mod sequence;
mod stack;
pub mod status;
pub mod stream;
#[cfg(test)]
mod tests;
mod turn;
pub mod udp;
pub mod window;
mod wire;

pub use address::AddressSetting;
pub use capture::{Capture, Captured};
pub use error::NetError;
pub use net::{Net, Surroundings};
pub use ping::{Ping, Reply};
/// Whose `Device` a [`Wire`] is.
pub use smoltcp;
pub use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};
pub use status::{Connections, InterfaceStatus, SocketStatus, Traffic, Transport};
pub use stream::{TcpListener, TcpReader, TcpStream, TcpWriter};
pub use udp::UdpSocket;
pub use wire::Wire;
