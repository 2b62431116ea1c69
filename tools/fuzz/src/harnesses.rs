//! Every harness by name: for the replay and for the libFuzzer shim.

/// A harness: panics if its oracle is broken.
pub type Harness = fn(&[u8]);

/// All of them. Each name is also a folder of `corpus/`.
pub const HARNESSES: &[(&str, Harness)] = &[
    ("command_line", crate::command_line::command_line),
    ("dns_answers", crate::dns_answers::dns_answers),
    ("gpt", crate::gpt::gpt),
    ("http_request", crate::http_request::http_request),
    ("mbr", crate::mbr::mbr),
    ("nbd_options", crate::nbd_options::nbd_options),
    ("nbd_requests", crate::nbd_requests::nbd_requests),
    ("network_frames", crate::network_frames::network_frames),
    ("numbers", crate::numbers::numbers),
    ("response_ring", crate::response_ring::response_ring),
    (
        "xenstore_message",
        crate::xenstore_message::xenstore_message,
    ),
];
