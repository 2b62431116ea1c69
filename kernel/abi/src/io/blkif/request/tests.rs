use super::*;

fn entry(request: &Request) -> [u8; REQUEST_SIZE] {
    let mut entry = [0xaa; REQUEST_SIZE];
    request.encode(&mut entry);
    entry
}

fn segments(count: u8) -> Vec<Segment> {
    (0..count)
        .map(|n| Segment {
            gref: 0x0100 + u32::from(n),
            first_sect: n % 8,
            last_sect: 7,
        })
        .collect()
}

#[test]
fn a_direct_request_survives_encoding_with_any_number_of_segments() {
    for count in 0..=11 {
        let segments = segments(count);
        let direct = Direct::new(OP_WRITE, 51712, 9, 1 << 40, &segments).unwrap();
        assert_eq!(direct.segments(), segments);
        let request = Request::Direct(direct);
        assert_eq!(Request::decode(&entry(&request)), Ok(request));
    }
}

#[test]
fn a_direct_request_holds_eleven_segments_and_no_more() {
    assert_eq!(Direct::new(OP_READ, 0, 0, 0, &segments(12)), None);
}

#[test]
fn an_indirect_request_survives_encoding() {
    let request = Request::Indirect {
        operation: OP_READ,
        handle: 0x1234,
        id: u64::MAX,
        sector: 77,
        segments: 4096,
        grefs: [1, 2, 3, 4, 5, 6, 7, u32::MAX],
    };
    let entry = entry(&request);
    assert_eq!(Request::decode(&entry), Ok(request));
    assert_eq!(
        &entry[60..],
        &[0; 52],
        "bytes behind the last reference are zero"
    );
}

#[test]
fn an_answer_repeats_the_id_and_the_operation_that_is_meant() {
    let read = Request::Direct(Direct::new(OP_READ, 0, 7, 0, &[]).unwrap());
    assert_eq!(Request::echo(&entry(&read)), (7, OP_READ));
    let indirect = Request::Indirect {
        operation: OP_WRITE,
        handle: 0,
        id: u64::MAX,
        sector: 0,
        segments: 1,
        grefs: [0; 8],
    };
    assert_eq!(Request::echo(&entry(&indirect)), (u64::MAX, OP_WRITE));
    let discard = Request::Discard {
        flag: super::super::DISCARD_SECURE,
        handle: 0,
        id: 9,
        sector: 0,
        sectors: 1,
    };
    assert_eq!(Request::echo(&entry(&discard)), (9, OP_DISCARD));
}

#[test]
fn a_discard_survives_encoding() {
    let request = Request::Discard {
        flag: super::super::DISCARD_SECURE,
        handle: 1,
        id: 2,
        sector: 3,
        sectors: 4,
    };
    assert_eq!(Request::decode(&entry(&request)), Ok(request));
}

#[test]
fn an_unknown_operation_is_named() {
    let mut bytes = entry(&Request::Direct(
        Direct::new(OP_READ, 0, 5, 0, &[]).unwrap(),
    ));
    bytes[0] = 4;
    assert_eq!(
        Request::decode(&bytes),
        Err(BadRequest::Operation {
            id: 5,
            operation: 4
        })
    );
}

#[test]
fn twelve_segments_are_not_read() {
    let mut bytes = entry(&Request::Direct(
        Direct::new(OP_READ, 0, 5, 0, &[]).unwrap(),
    ));
    bytes[1] = 12;
    let expected = BadRequest::Segments {
        id: 5,
        operation: OP_READ,
        count: 12,
    };
    assert_eq!(Request::decode(&bytes), Err(expected));
}
