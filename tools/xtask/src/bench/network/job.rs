//! What is done, and what is asked of it.

use anyhow::{Context, Result};

use super::cost::{Cost, numbers};

/// What is done to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// One stream to it.
    Send,
    /// One stream from it.
    Receive,
    /// Datagrams of [`DATAGRAM`] bytes to it, paced.
    Paced,
    /// Echo requests, the next when the answer to the last is there, or after 10 ms.
    Flood,
}

/// Bytes of data in a datagram.
pub(super) const DATAGRAM: u32 = 1400;
/// Bytes of a stream in a packet of 1,500, with time stamps: what it is counted in.
const SEGMENT: f64 = 1448.0;
/// Datagrams a second where they are counted and not raced.
const EASY: u32 = 2000;

/// All, in the order of a round.
pub(super) const JOBS: [Job; 4] = [Job::Send, Job::Receive, Job::Paced, Job::Flood];

/// What a ratio of ours to Linux's may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    pub(super) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }
}

impl Job {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "TCP to the domain",
            Self::Receive => "TCP from the domain",
            Self::Paced => "UDP to the domain, 1,400 bytes",
            Self::Flood => "flood ping",
        }
    }

    /// What its figure is under the ordinary clock.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Send | Self::Receive => "MiB/s",
            Self::Paced => "packets/s under 1 % loss",
            Self::Flood => "us round trip",
        }
    }

    /// What is asked of that.
    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Send | Self::Receive => Limit::AtLeast(1.0),
            Self::Paced => Limit::AtLeast(1.2),
            Self::Flood => Limit::AtMost(0.8),
        }
    }

    /// How much of it: MiB of a stream, seconds of datagrams, echo requests.
    pub(super) fn amount(self, quick: bool) -> u32 {
        match self {
            Self::Send | Self::Receive if quick => 8,
            Self::Send | Self::Receive => 128,
            Self::Paced => 2,
            Self::Flood if quick => 200,
            Self::Flood => 3000,
        }
    }

    /// A little and more of it: what the second costs more is that of the packets alone.
    pub(super) fn slope(self) -> [u32; 2] {
        match self {
            Self::Send | Self::Receive => [4, 36],
            Self::Paced => [1, 3],
            Self::Flood => [100, 1100],
        }
    }

    /// The command in dom0 that does so much.
    pub(super) fn command(self, address: &str, amount: u32) -> String {
        let bytes = u64::from(amount) << 20;
        match self {
            Self::Send => format!("./streams send {address} {bytes}"),
            Self::Receive => format!("./streams receive {address} {bytes}"),
            Self::Paced => format!("./streams udp {address} {DATAGRAM} {EASY} {amount}"),
            Self::Flood => format!("ping -n -q -f -c {amount} {address}"),
        }
    }

    /// The packets in that, as they would be on a wire, one way.
    pub(super) fn packets(self, amount: u32) -> f64 {
        match self {
            Self::Send | Self::Receive => f64::from(amount) * 1_048_576.0 / SEGMENT,
            Self::Paced => f64::from(amount) * f64::from(EASY),
            Self::Flood => f64::from(amount),
        }
    }

    /// The figure in what such a command cost.
    pub(super) fn figure(self, amount: u32, cost: &Cost) -> Result<f64> {
        match self {
            Self::Send | Self::Receive => {
                let seconds = numbers(&cost.said)?;
                let seconds = seconds.first().context("no time")?;
                Ok(f64::from(amount) / seconds)
            }
            Self::Paced => {
                let found = numbers(&cost.said)?;
                let [_, counted, seconds] = found[..] else {
                    anyhow::bail!("no counts: {}", cost.said);
                };
                Ok(counted / seconds)
            }
            Self::Flood => {
                let (_, times) = cost.said.split_once("= ").context("no times")?;
                let average = times.split('/').nth(1).context("no average")?;
                Ok(average.parse::<f64>()? * 1000.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Job};

    #[test]
    fn figures_are_read_from_what_programs_say() {
        let cost = |said: &str| Cost {
            said: said.to_owned(),
            ..Cost::default()
        };
        assert_eq!(Job::Send.figure(64, &cost("0.5\n")).unwrap(), 128.0);
        assert_eq!(
            Job::Paced.figure(2, &cost("4000 3990 2.0")).unwrap(),
            1995.0
        );
        let ping = "3 packets transmitted\nrtt min/avg/max/mdev = 0.1/0.25/0.3/0.1 ms\n";
        assert_eq!(Job::Flood.figure(3, &cost(ping)).unwrap(), 250.0);
        assert!(Job::Flood.figure(3, &cost("nothing")).is_err());
        assert!(Job::Send.figure(3, &cost("")).is_err());
    }
}
