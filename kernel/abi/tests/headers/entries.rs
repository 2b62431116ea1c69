//! Ring entries and messages, as a C compiler fills them and as this crate does.

use xen_abi::io::blkif::{self, Direct, Layout, Request, Response, Segment};
use xen_abi::io::netif::{Extra, RxRequest, RxResponse, TxRequest, TxResponse, extra};
use xen_abi::io::xs_wire;
use xen_abi::shared_info::VcpuTime;

/// A name; C statements that fill a variable `it`; this crate's bytes.
type Entry = (&'static str, String, Vec<u8>);

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        direct(Layout::X86_64),
        direct(Layout::X86_32),
        indirect(Layout::X86_64),
        indirect(Layout::X86_32),
        discard(Layout::X86_64),
        discard(Layout::X86_32),
        response(Layout::X86_64),
        response(Layout::X86_32),
        header(),
        time(),
    ]
    .into_iter()
    .chain(network())
    .collect()
}

fn statements(kind: &str, fields: &str) -> String {
    format!("{kind} it; memset(&it, 0, sizeof it); {fields}")
}

/// The same for one of blkif's structures. Its 32-bit layout is what a compiler makes of the same
/// fields if it aligns 64-bit words to 4 bytes.
fn blkif_statements(layout: Layout, kind: &str, fields: &str) -> String {
    match layout {
        Layout::X86_64 => statements(&format!("struct blkif_{kind}"), fields),
        Layout::X86_32 => statements(&format!("struct blkif32_{kind}"), fields),
    }
}

fn encoded(layout: Layout, request: &Request) -> Vec<u8> {
    let mut entry = [0xff; blkif::REQUEST_SIZE];
    request.encode(&mut entry);
    let wide = entry;
    layout.narrow(&mut entry);
    let narrow = entry;
    layout.widen(&mut entry);
    assert_eq!(entry, wide);
    narrow[..layout.request_size()].to_vec()
}

fn direct(layout: Layout) -> Entry {
    let segments: Vec<Segment> = (0..11)
        .map(|n| Segment {
            gref: 1000 + n,
            first_sect: 1,
            last_sect: 6,
        })
        .collect();
    let fields = "it.operation = BLKIF_OP_WRITE; it.nr_segments = 11; it.handle = 0xca10; \
        it.id = 0x0102030405060708; it.sector_number = 0x1112131415161718; \
        for (int n = 0; n < 11; n++) { \
            it.seg[n].gref = 1000 + n; it.seg[n].first_sect = 1; it.seg[n].last_sect = 6; }";
    let request = Direct::new(
        blkif::OP_WRITE,
        0xca10,
        0x0102_0304_0506_0708,
        0x1112_1314_1516_1718,
        &segments,
    )
    .expect("eleven segments fit");
    let bytes = encoded(layout, &Request::Direct(request));
    (
        "blkif_request",
        blkif_statements(layout, "request", fields),
        bytes,
    )
}

fn indirect(layout: Layout) -> Entry {
    let fields = "it.operation = BLKIF_OP_INDIRECT; it.indirect_op = BLKIF_OP_READ; \
        it.nr_segments = 4096; it.id = 0x0102030405060708; it.sector_number = 99; \
        it.handle = 0xca10; for (int n = 0; n < 8; n++) it.indirect_grefs[n] = 70000 + n;";
    let request = Request::Indirect {
        operation: blkif::OP_READ,
        handle: 0xca10,
        id: 0x0102_0304_0506_0708,
        sector: 99,
        segments: 4096,
        grefs: std::array::from_fn(|n| 70000 + u32::try_from(n).expect("small")),
    };
    (
        "blkif_request_indirect",
        blkif_statements(layout, "request_indirect", fields),
        encoded(layout, &request),
    )
}

fn discard(layout: Layout) -> Entry {
    let fields = "it.operation = BLKIF_OP_DISCARD; it.flag = BLKIF_DISCARD_SECURE; \
        it.handle = 0xca10; it.id = 5; it.sector_number = 6; it.nr_sectors = 0x0102030405060708;";
    let request = Request::Discard {
        flag: blkif::DISCARD_SECURE,
        handle: 0xca10,
        id: 5,
        sector: 6,
        sectors: 0x0102_0304_0506_0708,
    };
    (
        "blkif_request_discard",
        blkif_statements(layout, "request_discard", fields),
        encoded(layout, &request),
    )
}

fn response(layout: Layout) -> Entry {
    let fields = "it.id = 0x0102030405060708; it.operation = BLKIF_OP_FLUSH_DISKCACHE; \
        it.status = BLKIF_RSP_EOPNOTSUPP;";
    let response = Response {
        id: 0x0102_0304_0506_0708,
        operation: blkif::OP_FLUSH_DISKCACHE,
        status: blkif::RSP_EOPNOTSUPP,
    };
    (
        "blkif_response",
        blkif_statements(layout, "response", fields),
        response.encode()[..layout.response_size()].to_vec(),
    )
}

fn header() -> Entry {
    let fields = "it.type = XS_DIRECTORY_PART; it.req_id = 2; it.tx_id = 3; it.len = 4096;";
    let header = xs_wire::Header {
        kind: xs_wire::kind::DIRECTORY_PART,
        req_id: 2,
        tx_id: 3,
        len: 4096,
    };
    (
        "xsd_sockmsg",
        statements("struct xsd_sockmsg", fields),
        header.encode().to_vec(),
    )
}

fn time() -> Entry {
    let fields = "it.version = 2; it.tsc_timestamp = 0x0102030405060708; \
        it.system_time = 0x1112131415161718; it.tsc_to_system_mul = 0x80000001; \
        it.tsc_shift = -2; it.flags = 1;";
    let time = VcpuTime {
        version: 2,
        tsc_timestamp: 0x0102_0304_0506_0708,
        system_time: 0x1112_1314_1516_1718,
        tsc_to_system_mul: 0x8000_0001,
        tsc_shift: -2,
        flags: 1,
    };
    (
        "vcpu_time_info",
        statements("struct vcpu_time_info", fields),
        time.encode().to_vec(),
    )
}

fn network() -> Vec<Entry> {
    let transmit = TxRequest {
        gref: 0x0102_0304,
        offset: 0x0506,
        flags: 0x0708,
        id: 0x090a,
        size: 0x0b0c,
    };
    let sent = TxResponse {
        id: 0x0102,
        status: -2,
    };
    let receive = RxRequest {
        id: 0x0102,
        gref: 0x0304_0506,
    };
    let received = RxResponse {
        id: 0x0102,
        offset: 0x0304,
        flags: 0x0506,
        status: -1,
    };
    let gso = Extra::Gso {
        size: 1448,
        kind: extra::GSO_TCPV6,
    };
    let multicast = Extra::Multicast {
        add: false,
        address: [1, 2, 3, 4, 5, 6],
    };
    assert_eq!(TxRequest::decode(&transmit.encode()), transmit);
    assert_eq!(TxResponse::decode(&sent.encode()), sent);
    assert_eq!(RxRequest::decode(&receive.encode()), receive);
    assert_eq!(RxResponse::decode(&received.encode()), received);
    let list: [(&str, &str, &str, Vec<u8>); 6] = [
        (
            "netif_tx_request",
            "struct netif_tx_request",
            "it.gref = 0x01020304; it.offset = 0x0506; it.flags = 0x0708; it.id = 0x090a; \
             it.size = 0x0b0c;",
            transmit.encode().to_vec(),
        ),
        (
            "netif_tx_response",
            "struct netif_tx_response",
            "it.id = 0x0102; it.status = NETIF_RSP_DROPPED;",
            sent.encode().to_vec(),
        ),
        (
            "netif_rx_request",
            "struct netif_rx_request",
            "it.id = 0x0102; it.gref = 0x03040506;",
            receive.encode().to_vec(),
        ),
        (
            "netif_rx_response",
            "struct netif_rx_response",
            "it.id = 0x0102; it.offset = 0x0304; it.flags = 0x0506; it.status = NETIF_RSP_ERROR;",
            received.encode().to_vec(),
        ),
        (
            "netif_extra_info gso",
            "struct netif_extra_info",
            "it.type = XEN_NETIF_EXTRA_TYPE_GSO; it.flags = XEN_NETIF_EXTRA_FLAG_MORE; \
             it.u.gso.size = 1448; it.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV6;",
            gso.encode(true).to_vec(),
        ),
        (
            "netif_extra_info mcast",
            "struct netif_extra_info",
            "it.type = XEN_NETIF_EXTRA_TYPE_MCAST_DEL; \
             for (int n = 0; n < 6; n++) it.u.mcast.addr[n] = n + 1;",
            multicast.encode(false).to_vec(),
        ),
    ];
    list.into_iter()
        .map(|(name, kind, fields, bytes)| (name, statements(kind, fields), bytes))
        .collect()
}
