//! The window that a peer is told of.
//!
//! smoltcp 0.14 rounds a scaled window down each time it tells of one. The end of the window, its
//! edge, goes back by that, and smoltcp forgets what it has promised before: it drops what a peer
//! has sent up to there, and then every acknowledgement of that peer too, since it stands behind
//! what was dropped. So each segment that leaves says one unit less than smoltcp thinks it does.
//!
//! Why that is enough: let a unit be `2^s` bytes, `base` the place of the next byte that the
//! application reads, and `cap` the size of the buffer. What smoltcp has told of last, rounded, and
//! will judge by, is an edge `E` with `base + cap - 2^s < E <= base + cap`. The peer is told
//! `E - 2^s <= base + cap - 2^s`. `base` only grows; so that is before every edge by which smoltcp
//! will ever judge what the peer sends, and also what stands right at it, as an acknowledgement
//! does, is inside. Where smoltcp's window has no unit, the peer is told of none either: the edge
//! is then what was acknowledged, which never goes back. smoltcp thinks that it has told of a unit
//! more; when there is room again it still says so, since it does when its window has doubled,
//! and of two units the peer hears of one. A greeting's window is not scaled, and is left as it is.

use smoltcp::wire::TcpPacket;

/// Takes a unit off the window of a segment that the stack made, if it has one.
pub(crate) fn tell_less(segment: &mut TcpPacket<&mut [u8]>) {
    if !segment.syn() && segment.window_len() > 0 {
        segment.set_window_len(segment.window_len() - 1);
    }
}
