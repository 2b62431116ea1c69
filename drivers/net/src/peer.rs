//! Who is one peer, where places are shared out among peers.

use smoltcp::wire::{IpAddress, Ipv6Address};

/// The peer that has `address`: that address itself, of IPv4's; of IPv6's its network, a /64, since
/// one host may have all of it for itself.
#[must_use]
pub fn of(address: IpAddress) -> IpAddress {
    match address {
        IpAddress::Ipv4(_) => address,
        IpAddress::Ipv6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Address::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
