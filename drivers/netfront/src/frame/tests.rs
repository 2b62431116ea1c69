use super::{Content, Segment, TCP, UDP, content};

/// A TCP segment without payload but these bytes; its checksum is zero.
pub(crate) fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![
        0x1f, 0x90, 0x00, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 4, 0,
    ];
    segment.extend([0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

/// A UDP datagram with these bytes; its checksum is zero.
pub(crate) fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = vec![0x1f, 0x90, 0x00, 0x35];
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

pub(crate) fn ipv4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let header = 20 + options.len();
    frame.push(0x40 | u8::try_from(header / 4).unwrap());
    frame.push(0);
    frame.extend(u16::try_from(header + payload.len()).unwrap().to_be_bytes());
    frame.extend([0, 7]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(options);
    frame.extend(payload);
    frame
}

/// `headers` are extension headers, whole but for their first byte, which says what is next.
pub(crate) fn ipv6(protocol: u8, headers: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0,
    ];
    let mut body = Vec::new();
    for (index, (_, rest)) in headers.iter().enumerate() {
        let next = headers.get(index + 1).map_or(protocol, |(kind, _)| *kind);
        body.push(next);
        body.extend(*rest);
    }
    body.extend(payload);
    frame.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    frame.push(headers.first().map_or(protocol, |(kind, _)| *kind));
    frame.push(64);
    frame.extend((0..32).map(|n| n * 7));
    frame.extend(body);
    frame
}

fn whole(frame: &[u8]) -> Segment {
    match content(frame) {
        Content::Whole(segment) => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_are_found_behind_options_and_before_padding() {
    let mut frame = ipv4(TCP, 0x4000, &[1; 8], &tcp(b"abc"));
    frame.extend([0; 9]);
    let segment = whole(&frame);
    assert_eq!((segment.start, segment.end), (42, 65));
    assert_eq!(
        (segment.protocol, segment.v6, segment.addresses),
        (TCP, false, (26, 34))
    );
    let segment = whole(&ipv6(UDP, &[], &udp(b"abc")));
    assert_eq!((segment.start, segment.end), (54, 65));
    assert_eq!(
        (segment.protocol, segment.v6, segment.addresses),
        (UDP, true, (22, 54))
    );
}

#[test]
fn segments_are_found_behind_extension_headers() {
    let hop_by_hop: (u8, &[u8]) = (0, &[0, 1, 4, 0, 0, 0, 0]);
    let long: (u8, &[u8]) = (60, &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let arrived: (u8, &[u8]) = (43, &[0, 0, 0, 0, 0, 0, 0]);
    let whole_fragment: (u8, &[u8]) = (44, &[0, 0, 0, 1, 2, 3, 4]);
    let headers = [hop_by_hop, long, arrived, whole_fragment];
    let segment = whole(&ipv6(TCP, &headers, &tcp(b"abc")));
    assert_eq!((segment.start, segment.end), (94, 117));
}

#[test]
fn parts_are_known() {
    for fragment in [0x2000, 0x2001, 0x1fff, 1] {
        let frame = ipv4(TCP, fragment, &[], &tcp(b"abc"));
        assert_eq!(content(&frame), Content::Part(TCP));
    }
    for fragment in [1, 8, 0xfff8, 0xfff9] {
        let [high, low] = u16::to_be_bytes(fragment);
        let header = [0, high, low, 1, 2, 3, 4];
        let frame = ipv6(UDP, &[(44, &header)], &udp(b"abc"));
        assert_eq!(content(&frame), Content::Part(UDP));
    }
}

#[test]
fn what_cannot_be_made_out_is_something_else() {
    let under_way: (u8, &[u8]) = (43, &[0, 0, 1, 0, 0, 0, 0]);
    let hop: (u8, &[u8]) = (0, &[0, 1, 4, 0, 0, 0, 0]);
    for frame in [
        ipv6(TCP, &[under_way], &tcp(b"abc")),
        ipv6(TCP, &[hop; 9], &tcp(b"abc")),
        ipv6(TCP, &[(0, &[255, 1, 4, 0, 0, 0, 0])], &tcp(b"abc")),
        ipv4(1, 0, &[], &[8, 0, 0, 0, 0, 0, 0, 0]),
        ipv4(TCP, 0, &[], &[0; 19]),
        vec![0xff; 60],
        Vec::new(),
    ] {
        assert_eq!(content(&frame), Content::Other, "{frame:?}");
    }
    let mut short = ipv4(TCP, 0, &[], &tcp(b"abc"));
    short[14] = 0x44;
    assert_eq!(content(&short), Content::Other);
}

#[test]
fn no_frame_however_cut_makes_it_panic() {
    let hop: (u8, &[u8]) = (0, &[0, 1, 4, 0, 0, 0, 0]);
    for frame in [
        ipv4(TCP, 0, &[1; 40], &tcp(b"abc")),
        ipv6(TCP, &[hop, hop], &tcp(b"abc")),
    ] {
        for end in 0..frame.len() {
            assert_eq!(content(&frame[..end]), Content::Other);
        }
        for at in 0..frame.len() {
            for value in [0, 1, 0x0f, 0x7f, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[at] = value;
                let _anything = content(&changed);
            }
        }
    }
}
