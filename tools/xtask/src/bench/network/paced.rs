//! The most datagrams a second that get through: the rate is doubled until more than one in a
//! hundred is lost, then halved in between.

use anyhow::{Result, bail};
use lab::Nest;

use super::cost::{self, Cost, numbers};
use super::job::DATAGRAM;

/// The rate to begin with.
const FIRST: u32 = 1000;
/// No rate is tried beyond: dom0 sends no faster.
const LAST: u32 = 256_000;
/// How often the interval is halved: to a thirty-second of it.
const HALVINGS: u32 = 5;
/// What may be lost.
const LOSS: f64 = 0.01;

/// That rate, as it was counted in the domain, and what the run with it cost.
pub(super) fn search(nest: &Nest, domain: u32, address: &str, seconds: u32) -> Result<(f64, Cost)> {
    let run = |rate: u32| -> Result<(Option<f64>, Cost)> {
        let command = format!("./streams udp {address} {DATAGRAM} {rate} {seconds}");
        let cost = cost::of(nest, domain, &command)?;
        let found = numbers(&cost.said)?;
        let [sent, counted, time] = found[..] else {
            bail!("no counts: {}", cost.said);
        };
        // What dom0 could not even send counts as lost.
        let wanted = f64::from(rate) * f64::from(seconds);
        let good = counted >= sent.max(wanted) * (1.0 - LOSS) && time < f64::from(seconds) * 1.01;
        Ok((good.then_some(counted / time), cost))
    };
    let mut best = None;
    let (mut low, mut high) = (0, FIRST);
    while high <= LAST {
        match run(high)? {
            (Some(rate), cost) => best = Some((rate, cost)),
            (None, _) => break,
        }
        (low, high) = (high, high * 2);
    }
    for _ in 0..HALVINGS {
        let middle = low.midpoint(high);
        match run(middle)? {
            (Some(rate), cost) => {
                best = Some((rate, cost));
                low = middle;
            }
            (None, _) => high = middle,
        }
    }
    match best {
        Some(best) => Ok(best),
        None => bail!("{address} loses datagrams even at the lowest rate"),
    }
}
