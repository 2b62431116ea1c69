//! Byte streams between two ends, and with an end that lies.

use hv::{HeapMemory, SharedMem};

use crate::{ByteRing, ByteStream, StreamLayout};

const OUT: ByteRing = ByteRing {
    buffer: 0,
    length: 8,
    cons: 32,
    cons_name: "out_cons",
    prod: 36,
    prod_name: "out_prod",
};
const IN: ByteRing = ByteRing {
    buffer: 8,
    length: 16,
    cons: 40,
    cons_name: "in_cons",
    prod: 44,
    prod_name: "in_prod",
};
const LAYOUT: StreamLayout = StreamLayout {
    incoming: IN,
    outgoing: OUT,
};

#[test]
fn bytes_arrive_in_order_across_every_wrap() {
    for start in [0, 1, 7, u32::MAX - 9, u32::MAX] {
        let memory = HeapMemory::new(48);
        for index in [OUT.cons, OUT.prod, IN.cons, IN.prod] {
            memory.store_u32(index, start);
        }
        let mut ours = ByteStream::attach(memory.clone(), LAYOUT);
        let mut theirs = ByteStream::attach(memory, LAYOUT.other_end());
        let (mut sent, mut received) = (0u8, 0u8);
        for size in (1..=12).cycle().take(200) {
            let bytes: Vec<u8> = (0..size).map(|n| sent.wrapping_add(n)).collect();
            let written = ours.write(&bytes).unwrap();
            assert!(written <= 8);
            sent = sent.wrapping_add(written as u8);
            let mut into = [0; 5];
            let count = theirs.read(&mut into).unwrap();
            for byte in &into[..count] {
                assert_eq!(*byte, received);
                received = received.wrapping_add(1);
            }
            assert_eq!(
                usize::from(sent.wrapping_sub(received)) + ours.room().unwrap() as usize,
                8
            );
        }
        assert!(sent != received || ours.room() == Ok(8));
    }
}

#[test]
fn f23_the_writer_jumps_too_far_ahead() {
    let memory = HeapMemory::new(48);
    let mut stream = ByteStream::attach(memory.clone(), LAYOUT);
    for prod in [0, 1, 16] {
        memory.store_u32(IN.prod, prod);
        assert!(stream.read(&mut []).is_ok());
    }
    for prod in [17, 1024, u32::MAX] {
        memory.store_u32(IN.prod, prod);
        let fault = stream.read(&mut [0; 16]).unwrap_err();
        assert_eq!(
            (fault.name, fault.theirs, fault.limit),
            ("in_prod", prod, 16)
        );
    }
    assert_eq!(memory.load_u32(IN.cons), 0);
}

#[test]
fn f23_the_reader_claims_bytes_never_written() {
    let memory = HeapMemory::new(48);
    let mut stream = ByteStream::attach(memory.clone(), LAYOUT);
    assert_eq!(stream.write(b"abc"), Ok(3));
    // The third one leaves 9 bytes waiting in a ring of 8.
    for cons in [4, 1024, u32::MAX - 5, u32::MAX - 8] {
        memory.store_u32(OUT.cons, cons);
        assert_eq!(stream.write(b"d").unwrap_err().name, "out_cons");
    }
    memory.store_u32(OUT.cons, 3);
    assert_eq!(stream.room(), Ok(8));
}

#[test]
fn own_indices_are_private() {
    let memory = HeapMemory::new(48);
    let mut stream = ByteStream::attach(memory.clone(), LAYOUT);
    assert_eq!(stream.write(b"abc"), Ok(3));
    memory.store_u32(OUT.prod, 77);
    assert_eq!(stream.write(b"d"), Ok(1));
    assert_eq!(memory.load_u32(OUT.prod), 4);
    assert_eq!(memory.snapshot()[..4], *b"abcd");
    // Only a reset by agreement takes the page's word again.
    memory.store_u32(OUT.prod, 100);
    memory.store_u32(OUT.cons, 100);
    stream.reattach();
    assert_eq!(stream.room(), Ok(8));
}
