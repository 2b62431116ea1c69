//! What a backend offers, cut to what this frontend uses.

use core::fmt;

use xen_abi::io::netif::MAX_TX_SIZE;

use crate::frame::ETHERNET;

/// The most queues.
pub(crate) const MOST_QUEUES: u32 = 8;
/// The IP packets of an ordinary Ethernet.
const MTU: usize = 1500;
/// The shortest that a vif may be told to have as its longest: what any host must be able to
/// receive (RFC 791), and the stack reckons with.
const LEAST_MTU: u64 = 576;

/// The numbers in the backend's directory before it connects; `None` where there is none or where
/// it is no number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    pub(crate) rx_copy: Option<u64>,
    pub(crate) sg: Option<u64>,
    pub(crate) gso_tcpv4: Option<u64>,
    pub(crate) gso_tcpv6: Option<u64>,
    pub(crate) no_csum: Option<u64>,
    pub(crate) ipv6_csum: Option<u64>,
    pub(crate) multicast: Option<u64>,
    pub(crate) split: Option<u64>,
    pub(crate) max_queues: Option<u64>,
}

/// What is used of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// A packet may have more than one slot.
    pub(crate) sg: bool,
    /// The backend cuts packets of TCP over IPv4.
    pub(crate) gso_tcpv4: bool,
    /// It cuts packets of TCP over IPv6.
    pub(crate) gso_tcpv6: bool,
    /// It makes checksums over IPv4.
    pub(crate) ipv4_csum: bool,
    /// It makes checksums over IPv6.
    pub(crate) ipv6_csum: bool,
    /// It sends only the multicast packets that it is asked for.
    pub(crate) multicast: bool,
    /// Each ring has an event channel of its own.
    pub(crate) split: bool,
    /// Pairs of rings, 1 to [`MOST_QUEUES`].
    pub(crate) queues: u32,
}

impl Offers {
    /// What both sides can do, with at most `most_queues` queues; `None` if that is not even to
    /// copy what is received. An offer that cannot be meant is taken as none.
    pub(crate) fn accept(self, most_queues: u32) -> Option<Features> {
        let is = |offer| offer == Some(1);
        if !is(self.rx_copy) {
            return None;
        }
        let most = u64::from(most_queues.clamp(1, MOST_QUEUES));
        let queues = self.max_queues.unwrap_or(1).clamp(1, most);
        let sg = is(self.sg);
        let ipv4_csum = self.no_csum.unwrap_or(0) == 0;
        let ipv6_csum = is(self.ipv6_csum);
        Some(Features {
            sg,
            // What is cut gets new checksums, so one does not go without the other.
            gso_tcpv4: sg && ipv4_csum && is(self.gso_tcpv4),
            gso_tcpv6: sg && ipv6_csum && is(self.gso_tcpv6),
            ipv4_csum,
            ipv6_csum,
            multicast: is(self.multicast),
            split: is(self.split),
            queues: u32::try_from(queues).unwrap_or(1),
        })
    }
}

impl Features {
    /// The longest IP packet of a vif whose own key says `wanted`. What cannot be meant is taken as
    /// not said.
    pub(crate) fn mtu(&self, wanted: Option<u64>) -> usize {
        let most = (MAX_TX_SIZE - ETHERNET) as u64;
        let wanted = wanted
            .filter(|wanted| (LEAST_MTU..=most).contains(wanted))
            .and_then(|wanted| usize::try_from(wanted).ok())
            .unwrap_or(MTU);
        if self.sg { wanted } else { wanted.min(MTU) }
    }

    /// Whether packets may be longer than the MTU, to be cut by the backend. Of IPv6 there are
    /// none: smoltcp makes no use of a device that takes them.
    pub(crate) fn cuts(&self) -> bool {
        self.gso_tcpv4
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.queues > 1 {
            write!(f, "{} queues, ", self.queues)?;
        }
        f.write_str("rx-copy")?;
        for (name, there) in [
            ("sg", self.sg),
            ("gso-tcpv4", self.gso_tcpv4),
            ("gso-tcpv6", self.gso_tcpv6),
            ("ipv4-csum", self.ipv4_csum),
            ("ipv6-csum", self.ipv6_csum),
            ("multicast-control", self.multicast),
            ("split-event-channels", self.split),
        ] {
            if there {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Offers {
        let yes = Some(1);
        Offers {
            rx_copy: yes,
            sg: yes,
            gso_tcpv4: yes,
            gso_tcpv6: yes,
            no_csum: None,
            ipv6_csum: yes,
            multicast: yes,
            split: yes,
            max_queues: Some(4),
        }
    }

    #[test]
    fn f22_without_rx_copy_there_is_nothing() {
        for rx_copy in [None, Some(0), Some(2)] {
            assert_eq!(Offers { rx_copy, ..all() }.accept(1), None);
        }
        assert!(all().accept(1).is_some());
    }

    #[test]
    fn f22_an_mtu_that_cannot_be_meant_is_none() {
        let features = all().accept(1).unwrap();
        let mtu = |wanted| features.mtu(wanted);
        for bad in [
            None,
            Some(0),
            Some(575),
            Some(65522),
            Some(65536),
            Some(u64::MAX),
        ] {
            assert_eq!(mtu(bad), 1500, "{bad:?}");
        }
        assert_eq!(
            (mtu(Some(576)), mtu(Some(9000)), mtu(Some(65521))),
            (576, 9000, 65521)
        );
        let single = Features {
            sg: false,
            ..features
        };
        assert_eq!(
            (single.mtu(Some(9000)), single.mtu(Some(1400))),
            (1500, 1400)
        );
    }

    #[test]
    fn packets_are_cut_only_with_new_checksums_and_in_many_slots() {
        let cuts = |offers: Offers| {
            let features = offers.accept(1).unwrap();
            (features.gso_tcpv4, features.gso_tcpv6)
        };
        assert_eq!(cuts(all()), (true, true));
        assert_eq!(cuts(Offers { sg: None, ..all() }), (false, false));
        assert_eq!(
            cuts(Offers {
                no_csum: Some(1),
                ..all()
            }),
            (false, true)
        );
        assert_eq!(
            cuts(Offers {
                ipv6_csum: None,
                ..all()
            }),
            (true, false)
        );
    }

    #[test]
    fn f13_a_queue_offer_is_clamped() {
        let queues = |max_queues, most| {
            let features = Offers {
                max_queues,
                ..all()
            }
            .accept(most)
            .unwrap();
            features.queues
        };
        assert_eq!(queues(None, 4), 1);
        assert_eq!(queues(Some(0), 4), 1);
        assert_eq!(queues(Some(3), 4), 3);
        assert_eq!(queues(Some(u64::MAX), 4), 4);
        assert_eq!(queues(Some(1000), 1000), MOST_QUEUES);
        assert_eq!(queues(Some(8), 0), 1);
    }
}
