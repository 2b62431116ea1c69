use super::*;

fn request(line: &str) -> Request {
    parse(line).unwrap().unwrap()
}

fn error(line: &str) -> String {
    parse(line).unwrap_err().to_string()
}

#[test]
fn every_command_is_read() {
    let range = ByteRange {
        offset: 512,
        length: 4096,
    };
    for (line, expected) in [
        ("help", Request::Help(None)),
        ("help sum", Request::Help(Some("sum".into()))),
        ("help geom tree", Request::Help(Some("geom tree".into()))),
        ("dmesg", Request::Dmesg),
        ("uptime", Request::Uptime),
        ("mem", Request::Mem),
        ("events", Request::Events),
        ("grants", Request::Grants),
        ("trace", Request::Trace),
        ("tasks", Request::Tasks),
        (
            "xenstore ls device/vbd",
            Request::StoreList("device/vbd".into()),
        ),
        ("xenstore read name", Request::StoreRead("name".into())),
        (
            "xenstore write data 'two words'",
            Request::StoreWrite("data".into(), "two words".into()),
        ),
        (
            "xenstore write data ''",
            Request::StoreWrite("data".into(), String::new()),
        ),
        ("geom tree", Request::Geom(GraphForm::Tree)),
        (" geom \t list ", Request::Geom(GraphForm::List)),
        ("geom dot", Request::Geom(GraphForm::Dot)),
        ("geom json", Request::Geom(GraphForm::Json)),
        ("disk list", Request::DiskList),
        ("sum xbd0", Request::Sum("xbd0".into(), None)),
        ("sum xbd0 512 4k", Request::Sum("xbd0".into(), Some(range))),
        (
            "hexdump xbd0 0x200 4096",
            Request::Hexdump("xbd0".into(), range),
        ),
        ("fill xbd0 7", Request::Fill("xbd0".into(), 7, None)),
        (
            "fill xbd0 0xff 512 4K",
            Request::Fill("xbd0".into(), 255, Some(range)),
        ),
        ("poweroff", Request::End(ShutdownReason::Poweroff)),
        ("reboot", Request::End(ShutdownReason::Reboot)),
        ("crash", Request::End(ShutdownReason::Crash)),
    ] {
        assert_eq!(request(line), expected, "{line}");
    }
}

#[test]
fn a_blank_line_asks_for_nothing() {
    assert_eq!(parse(""), Ok(None));
    assert_eq!(parse(" \t "), Ok(None));
}

#[test]
fn every_command_refuses_arguments_it_does_not_take() {
    for entry in table::commands() {
        let line = format!("{} 1 2 3 4 5 6", entry.name);
        let usage = format!("usage: {}", table::usage(entry.name, entry.arguments));
        assert_eq!(error(&line), usage);
        let needs_some = !entry.arguments.is_empty() && !entry.arguments.starts_with('[');
        assert_eq!(parse(entry.name).is_err(), needs_some, "{}", entry.name);
    }
}

#[test]
fn errors_are_short_and_say_what_to_write() {
    for (line, expected) in [
        ("frob", "frob: no such command; `help` lists them"),
        ("Geom tree", "Geom: no such command; `help` lists them"),
        ("geom", "geom: no such command; `help` lists them"),
        ("geom bush", "geom bush: no such command; `help` lists them"),
        (
            "\u{1b}[2J",
            "\\u{1b}[2J: no such command; `help` lists them",
        ),
        ("run dmesg", "run: no such command; `help` lists them"),
        ("xenstore write a 'b", "a ' is not closed"),
        ("sum", "usage: sum PROVIDER [OFFSET LENGTH]"),
        ("sum xbd0 0", "usage: sum PROVIDER [OFFSET LENGTH]"),
        ("hexdump xbd0 0", "usage: hexdump PROVIDER OFFSET LENGTH"),
        ("fill xbd0", "usage: fill PROVIDER SEED [OFFSET LENGTH]"),
        ("xenstore write path", "usage: xenstore write PATH VALUE"),
        (
            "sum xbd0 -1 5",
            "sum: '-1' is not a number (write 512, 0x200, 4k, 1M, 2G)",
        ),
        (
            "fill xbd0 4k",
            "fill: '4k' is not a number (write 512, 0x200, 4k, 1M, 2G)",
        ),
        (
            "hexdump xbd0 0 99999999999999999999",
            "hexdump: '99999999999999999999' is a number beyond 64 bits",
        ),
    ] {
        assert_eq!(error(line), expected);
    }
}

/// Oracle: a line is read, refused or blank, without a panic, and the same twice.
#[test]
fn seeded_garbage_is_read_or_refused() {
    const WORDS: &[&str] = &[
        "geom", "tree", "sum", "fill", "xenstore", "write", "help", " ", " ", " ", "0", "k", "'",
        "\"", "é", "\0",
    ];
    for seed in 0..5000 {
        let mut bytes = [0; 16];
        crate::pattern::write(seed, 0, &mut bytes);
        let pieces = bytes
            .iter()
            .map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let line: String = pieces.collect();
        let read = parse(&line);
        assert_eq!(read, parse(&line), "{line:?}");
        if let Err(error) = read {
            assert!(!error.to_string().contains(char::is_control), "{line:?}");
        }
    }
}
