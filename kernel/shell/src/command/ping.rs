//! `ping`.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use exec::Executor;
use net::{Net, NetError};

use crate::output::Output;
use crate::request::PingRequest;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends echo requests and prints each answer, and what they come to.
pub(super) async fn run(
    net: &Net,
    exec: &Executor,
    wanted: &PingRequest,
    out: &Output,
) -> Result<(), String> {
    let host = wanted.host.escape_debug();
    let failed = |error: NetError| format!("ping: {host}: {error}");
    let addresses = net.resolve(&wanted.host).await.map_err(failed)?;
    let to = *addresses
        .first()
        .ok_or_else(|| failed(NetError::NoSuchName))?;
    let mut ping = net.ping(to).map_err(failed)?;
    out.line(format_args!(
        "PING {host} ({to}): {} data bytes",
        wanted.size
    ));
    let mut summary = Summary::default();
    for left in (0..wanted.count).rev() {
        let next = exec.sleep(wanted.interval);
        summary.sent += 1;
        match ping.echo(wanted.size, PATIENCE).await {
            Ok(reply) => {
                summary.add(reply.time);
                let (bytes, from, sequence) = (reply.bytes, reply.from, reply.sequence);
                let time = Milliseconds(reply.time);
                out.line(format_args!(
                    "{bytes} bytes from {from}: seq={sequence} time={time} ms"
                ));
            }
            Err(NetError::TimedOut) => out.line(format_args!("no answer to {}", ping.sequence())),
            Err(error) => return Err(failed(error)),
        }
        out.room().await;
        if left > 0 {
            next.await;
        }
    }
    out.line(format_args!("--- {host} ping statistics ---\n{summary}"));
    Ok(())
}

/// What the requests came to.
#[derive(Debug, Default)]
struct Summary {
    sent: u64,
    received: u64,
    least: Duration,
    most: Duration,
    sum: Duration,
}

impl Summary {
    fn add(&mut self, time: Duration) {
        self.least = if self.received == 0 {
            time
        } else {
            self.least.min(time)
        };
        self.most = self.most.max(time);
        self.sum = self.sum.saturating_add(time);
        self.received += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, received, .. } = *self;
        let lost = sent.saturating_sub(received);
        let tenths = u128::from(lost) * 1000 / u128::from(sent.max(1));
        write!(
            f,
            "{sent} packets transmitted, {received} packets received, {}.{}% packet loss",
            tenths / 10,
            tenths % 10
        )?;
        if received == 0 {
            return Ok(());
        }
        let mean = self.sum.as_nanos() / u128::from(received);
        let mean = Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX));
        let [least, mean, most] = [self.least, mean, self.most].map(Milliseconds);
        write!(f, "\nround-trip min/avg/max = {least}/{mean}/{most} ms")
    }
}

/// A time in milliseconds, with three digits after the point.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_loss_and_round_trip_times() {
        let mut summary = Summary {
            sent: 3,
            ..Summary::default()
        };
        summary.add(Duration::from_micros(400));
        summary.add(Duration::from_micros(1300));
        let expected = "3 packets transmitted, 2 packets received, 33.3% packet loss\n\
                        round-trip min/avg/max = 0.400/0.850/1.300 ms";
        assert_eq!(summary.to_string(), expected);
        let nothing = Summary {
            sent: 1,
            ..Summary::default()
        };
        assert_eq!(
            nothing.to_string(),
            "1 packets transmitted, 0 packets received, 100.0% packet loss"
        );
    }
}
