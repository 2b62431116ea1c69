//! What packets go out on.

use alloc::string::String;

use smoltcp::phy::Device;

/// A connection to a network: what netfront's link is, and what tests have in its place.
pub trait Wire: Device + 'static {
    /// The interface's name: `xn0`. The same again means the same interface, connected anew.
    fn name(&self) -> &str;

    /// Its Ethernet address.
    fn mac(&self) -> [u8; 6];

    /// Whether packets can pass.
    fn carrier(&self) -> bool;

    /// Whether it has ended for good. Nothing is received then, and what is sent is lost.
    fn is_gone(&self) -> bool;

    /// What the backend says the interface's addresses are.
    fn address_hint(&self) -> Option<String>;

    /// Groups whose packets are to come, by their Ethernet addresses; of no effect where all come.
    /// Returns whether all could be asked for.
    fn set_groups(&mut self, _groups: &[[u8; 6]]) -> bool {
        true
    }

    /// Waits until something was received, there is room again to send, or one of the answers above
    /// is another one. What happened since the last wait counts.
    fn changed(&self) -> impl Future<Output = ()>;
}

impl<H: hv::Hypervisor> Wire for netfront::Link<H> {
    fn name(&self) -> &str {
        self.name()
    }

    fn mac(&self) -> [u8; 6] {
        self.mac()
    }

    fn carrier(&self) -> bool {
        self.carrier()
    }

    fn is_gone(&self) -> bool {
        self.is_gone()
    }

    fn address_hint(&self) -> Option<String> {
        self.address_hint().map(String::from)
    }

    fn set_groups(&mut self, groups: &[[u8; 6]]) -> bool {
        self.set_multicast(groups)
    }

    fn changed(&self) -> impl Future<Output = ()> {
        self.changed()
    }
}
