use super::*;
use xen_abi::io::blkif::{Direct, REQUEST_SIZE};

const TERMS: Terms = Terms {
    sector_size: 512,
    read_only: false,
    flush: true,
    discard: true,
    secure: false,
    indirect_segments: 256,
};

const LARGE_SECTORS: Terms = Terms {
    sector_size: 4096,
    ..TERMS
};

fn segment(first_sect: u8, last_sect: u8) -> Segment {
    Segment {
        gref: 9,
        first_sect,
        last_sect,
    }
}

fn direct(operation: u8, sector: u64, segments: &[Segment]) -> Result<Request, BadRequest> {
    let direct = Direct::new(operation, 0, 77, sector, segments).expect("few segments");
    Ok(Request::Direct(direct))
}

fn indirect(operation: u8, count: u16) -> Result<Request, BadRequest> {
    Ok(Request::Indirect {
        operation,
        handle: 0,
        id: 77,
        sector: 8,
        segments: count,
        grefs: [5; 8],
    })
}

fn discard(flag: u8, sector: u64, sectors: u64) -> Result<Request, BadRequest> {
    Ok(Request::Discard {
        flag,
        handle: 0,
        id: 77,
        sector,
        sectors,
    })
}

#[test]
fn honest_requests_pass_with_their_bytes() {
    let one = [segment(0, 7)];
    assert_eq!(
        TERMS.judge(&direct(OP_READ, 3, &one)),
        Ok((Wish::Read { offset: 1536 }, List::Inline))
    );
    let write = |barrier, flush_first| Wish::Write {
        offset: 0,
        barrier,
        flush_first,
    };
    for (operation, wish) in [
        (OP_WRITE, write(false, false)),
        (OP_WRITE_BARRIER, write(true, false)),
        (OP_FLUSH_DISKCACHE, write(false, true)),
    ] {
        assert_eq!(
            TERMS.judge(&direct(operation, 0, &one)),
            Ok((wish, List::Inline))
        );
    }
    for operation in [OP_WRITE_BARRIER, OP_FLUSH_DISKCACHE] {
        // It is about no sector, whatever stands there.
        for sector in [0, 1, u64::MAX >> 10, u64::MAX] {
            for terms in [TERMS, LARGE_SECTORS] {
                let judged = terms.judge(&direct(operation, sector, &[]));
                assert_eq!(judged, Ok((Wish::Flush, List::Nowhere)));
            }
        }
    }
    let pages = List::Pages {
        grefs: [5; 8],
        count: 256,
    };
    assert_eq!(
        TERMS.judge(&indirect(OP_READ, 256)),
        Ok((Wish::Read { offset: 4096 }, pages))
    );
    let wish = Wish::Discard {
        offset: 512,
        length: 1024,
        secure: false,
    };
    assert_eq!(TERMS.judge(&discard(0, 1, 2)), Ok((wish, List::Nowhere)));
}

#[test]
fn b01_no_segments_or_too_many_are_an_error() {
    for operation in [OP_READ, OP_WRITE] {
        assert_eq!(TERMS.judge(&direct(operation, 0, &[])), Err(Refusal::Error));
    }
    for count in 12..=255 {
        let mut entry = [0; REQUEST_SIZE];
        entry[1] = count;
        assert_eq!(TERMS.judge(&Request::decode(&entry)), Err(Refusal::Error));
    }
    for count in [0, 257, 4097, u16::MAX] {
        assert_eq!(TERMS.judge(&indirect(OP_READ, count)), Err(Refusal::Error));
    }
    let without = Terms {
        indirect_segments: 0,
        ..TERMS
    };
    assert_eq!(without.judge(&indirect(OP_READ, 1)), Err(Refusal::Error));
    assert_eq!(
        TERMS.judge(&indirect(OP_WRITE_BARRIER, 1)),
        Err(Refusal::Error)
    );
}

#[test]
fn b02_segments_lie_within_a_page_and_are_whole_sectors() {
    let part = |terms: Terms, first, last| terms.part(segment(first, last));
    assert_eq!(
        part(TERMS, 1, 2),
        Ok(Part {
            reference: GrantRef(9),
            offset: 512,
            length: 1024
        })
    );
    assert_eq!(part(TERMS, 3, 2), Err(Refusal::Error));
    for last in 8..=255 {
        assert_eq!(part(TERMS, 0, last), Err(Refusal::Error));
    }
    assert!(part(LARGE_SECTORS, 0, 7).is_ok());
    assert_eq!(part(LARGE_SECTORS, 0, 3), Err(Refusal::Error));
    assert_eq!(part(LARGE_SECTORS, 4, 7), Err(Refusal::Error));
}

#[test]
fn b03_offsets_that_wrap_or_are_no_whole_sectors_are_an_error() {
    let one = [segment(0, 7)];
    for sector in [u64::MAX, u64::MAX / 512 + 1, 1 << 63] {
        let judged = TERMS.judge(&direct(OP_READ, sector, &one));
        assert_eq!(judged, Err(Refusal::Error), "{sector}");
        assert_eq!(TERMS.judge(&discard(0, 0, sector)), Err(Refusal::Error));
        assert_eq!(TERMS.judge(&discard(0, sector, 1)), Err(Refusal::Error));
    }
    assert_eq!(
        LARGE_SECTORS.judge(&direct(OP_READ, 1, &one)),
        Err(Refusal::Error)
    );
    assert_eq!(LARGE_SECTORS.judge(&discard(0, 8, 4)), Err(Refusal::Error));
    assert!(LARGE_SECTORS.judge(&direct(OP_READ, 16, &one)).is_ok());
}

#[test]
fn b05_what_was_not_offered_is_not_supported_and_the_id_is_echoed() {
    for operation in [4, 7, 255] {
        let mut entry = [0; REQUEST_SIZE];
        entry[0] = operation;
        entry[8..16].copy_from_slice(&77u64.to_le_bytes());
        let request = Request::decode(&entry);
        assert_eq!(TERMS.judge(&request), Err(Refusal::NotSupported));
        assert_eq!(Request::echo(&entry), (77, operation));
    }
    let little = Terms {
        flush: false,
        discard: false,
        ..TERMS
    };
    for request in [
        direct(OP_FLUSH_DISKCACHE, 0, &[]),
        direct(OP_WRITE_BARRIER, 0, &[segment(0, 7)]),
        discard(0, 0, 1),
    ] {
        assert_eq!(little.judge(&request), Err(Refusal::NotSupported));
    }
    let secure = discard(DISCARD_SECURE, 0, 1);
    assert_eq!(TERMS.judge(&secure), Err(Refusal::NotSupported));
}

#[test]
fn b06_nothing_that_writes_reaches_a_read_only_disk() {
    let terms = Terms {
        read_only: true,
        ..TERMS
    };
    let one = [segment(0, 7)];
    for request in [
        direct(OP_WRITE, 0, &one),
        direct(OP_WRITE_BARRIER, 0, &one),
        direct(OP_FLUSH_DISKCACHE, 0, &one),
        indirect(OP_WRITE, 12),
        discard(0, 0, 8),
    ] {
        assert_eq!(terms.judge(&request), Err(Refusal::Error));
    }
    assert!(terms.judge(&direct(OP_READ, 0, &one)).is_ok());
}
