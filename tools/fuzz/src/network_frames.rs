//! Harness for what a network interface receives.
//!
//! Oracle, for a host with an address, a listener and a UDP port:
//!
//! * it sends at most three frames for each that it receives, and a few of its own;
//! * no connection comes about, since none can without an answer to what it sent, and none is left
//!   after a while;
//! * it rests when it has nothing to do;
//! * it still answers an echo request, byte for byte.

use std::time::Duration;

use crate::network_host::Host;

/// Frames of its own accord: looking for routers, telling its groups.
const OWN: usize = 40;
/// The longest frame of an input, and how many there are at most.
const LONGEST: usize = 2000;
const MOST: usize = 64;

/// Runs one input: frames, each behind its length in two bytes.
///
/// # Panics
/// If the oracle is broken.
pub fn network_frames(data: &[u8]) {
    let host = Host::new();
    host.run_for(Duration::from_millis(1), 100);
    let mut rest = data;
    let mut frames = 0;
    while let [high, low, after @ ..] = rest
        && frames < MOST
    {
        let length = usize::from(u16::from_be_bytes([*high, *low])) % LONGEST;
        let (frame, after) = after.split_at(length.min(after.len()));
        rest = after;
        frames += 1;
        host.deliver(frame);
        if frames % 8 == 0 {
            host.run_for(Duration::from_millis(1), 1000);
        }
    }
    host.run_for(Duration::from_secs(120), 30_000);
    assert_eq!(host.net.connections().count, 0, "of {frames} frames");
    let sent = host.sent().len();
    // A greeting is answered again and again, until it is given up.
    assert!(sent <= OWN + 8 * frames, "{sent} frames for {frames}");
    host.echoes();
}
