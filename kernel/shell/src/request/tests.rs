use std::time::Duration;

use geom::Errno;
use geom::class::nop::{Effect, MILLION};
use geom::disk::Command;

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
        ("crash stack", Request::Exhaust(Resource::Stack)),
        ("crash memory", Request::Exhaust(Resource::Memory)),
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
        // What is not in brackets must be given.
        let outside = entry
            .arguments
            .split('[')
            .map(|part| match part.split_once(']') {
                Some((_, outside)) => outside,
                None => part,
            });
        let needs_some = outside.collect::<String>().chars().any(char::is_alphabetic);
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
        (
            "crash disk",
            "crash: 'disk' means nothing; usage: crash [stack|memory]",
        ),
        ("crash stack 1", "usage: crash [stack|memory]"),
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

fn fault(command: Command, rate: u32, effect: Effect) -> Fault {
    Fault {
        command: Some(command),
        range: None,
        rate,
        effect,
    }
}

#[test]
fn memory_disks_are_asked_for_as_with_mdconfig() {
    let all = MdParams {
        unit: Some(3),
        label: "ram".into(),
        size: 4 << 20,
        sector_size: 4096,
        reserve: true,
    };
    assert_eq!(
        request("mdconfig -a -s 4M -u 3 -L ram -S 4k -o reserve"),
        Request::MdAttach(all)
    );
    assert_eq!(
        request("mdconfig -a -s 1k"),
        Request::MdAttach(MdParams::new(1024))
    );
    assert_eq!(request("mdconfig -l"), Request::MdList);
    for line in ["mdconfig -d -u 3 -o force", "mdconfig -d -o force -u md3"] {
        let expected = Request::MadeDestroy("MD", "md3".into(), true);
        assert_eq!(request(line), expected);
    }
    for (line, expected) in [
        ("mdconfig -a", "usage: mdconfig -a -s SIZE"),
        ("mdconfig -a -s", "usage: mdconfig -a -s SIZE"),
        ("mdconfig -a -s 4M md0", "usage: mdconfig -a -s SIZE"),
        ("mdconfig -a -s 4X", "mdconfig -a: '4X' is not a number"),
        ("mdconfig -a -x", "mdconfig -a: '-x' means nothing; usage:"),
        ("mdconfig -a -su 4M", "mdconfig -a: '-su' means nothing"),
        ("mdconfig -a -: 4M", "mdconfig -a: '-:' means nothing"),
        ("mdconfig -a -o async", "mdconfig -a: 'async' means nothing"),
        ("mdconfig -d", "usage: mdconfig -d -u UNIT"),
        ("mdconfig -d -u ram", "mdconfig -d: 'ram' is not a number"),
        (
            "mdconfig -d -u 4294967296",
            "mdconfig -d: '4294967296' is a number beyond",
        ),
        ("mdconfig", "mdconfig: no such command"),
    ] {
        let error = error(line);
        assert!(error.starts_with(expected), "{line}: {error}");
    }
}

#[test]
fn faults_are_asked_for_as_with_gnop() {
    let delay = Effect::Delay(Duration::from_millis(20));
    let full = Effect::Fail(Errno::NoSpace);
    let faults = vec![
        fault(Command::Read, 100_000, full),
        fault(Command::Write, 12_500, full),
        fault(Command::Read, MILLION, delay),
        fault(Command::Write, 0, delay),
    ];
    let line = "-r 10 -w 1.25 -q 100 -x 0 -d 20 -e enospc xbd0p1";
    assert_eq!(
        request(&format!("gnop configure {line}")),
        Request::NopConfigure("xbd0p1".into(), faults.clone())
    );
    let params = NopParams {
        offset: 4096,
        size: Some(1 << 20),
        seed: 7,
        faults,
    };
    assert_eq!(
        request(&format!("gnop create -o 4k -s 1M -R 7 {line}")),
        Request::NopCreate("xbd0p1".into(), params)
    );
    let mut ranged = fault(Command::Read, MILLION, Effect::Fail(Errno::Io));
    ranged.range = Some(512..1536);
    assert_eq!(
        request("gnop configure -b 512:1k -r 100 md0"),
        Request::NopConfigure("md0".into(), vec![ranged])
    );
    assert_eq!(request("gnop list"), Request::NopList);
    assert_eq!(
        request("gnop reset a.nop"),
        Request::NopReset("a.nop".into())
    );
    assert_eq!(
        request("gnop destroy -f a.nop"),
        Request::MadeDestroy("NOP", "a.nop".into(), true)
    );
    assert_eq!(request("gzero create"), Request::ZeroCreate(1 << 60));
    assert_eq!(request("gzero create 1G"), Request::ZeroCreate(1 << 30));
    assert_eq!(
        request("gzero destroy zero0"),
        Request::MadeDestroy("ZERO", "zero0".into(), false)
    );
    for wrong in ["101", "-1", "1.23456", "1.x", "100.0001", ""] {
        let line = format!("gnop create -r '{wrong}' md0");
        assert!(parse(&line).is_err(), "{line}");
    }
    for wrong in [
        "-e EPERM md0",
        "-b 512 md0",
        "-b 1:x md0",
        "-d 1s md0",
        "a b",
    ] {
        let line = format!("gnop create {wrong}");
        assert!(parse(&line).is_err(), "{line}");
    }
}

/// Oracle: a line is read, refused or blank, without a panic, and the same twice.
#[test]
fn seeded_garbage_is_read_or_refused() {
    const WORDS: &[&str] = &[
        "geom", "tree", "sum", "fill", "xenstore", "write", "help", " ", " ", " ", "0", "k", "'",
        "\"", "é", "\0", "gnop", "create", "mdconfig", "-a", "-s", "-r", "1.5",
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

#[test]
fn the_network_is_asked_as_by_its_usual_tools() {
    assert_eq!(request("ifconfig"), Request::Ifconfig);
    assert_eq!(request("pciconf -l"), Request::PciList);
    assert_eq!(request("nvmecontrol devlist"), Request::NvmeList);
    assert_eq!(request("netstat"), Request::Netstat);
    assert_eq!(request("host a.example"), Request::Host("a.example".into()));
    assert_eq!(request("tcpdump"), Request::Tcpdump(None, None));
    let some = Request::Tcpdump(Some(5), Some("xn0".into()));
    assert_eq!(request("tcpdump -c 5 -i xn0"), some);
    let usual = PingRequest {
        host: "10.0.0.1".into(),
        count: 4,
        size: 56,
        interval: Duration::from_secs(1),
    };
    assert_eq!(request("ping 10.0.0.1"), Request::Ping(usual.clone()));
    let other = PingRequest {
        count: 2,
        size: 1000,
        interval: Duration::from_millis(10),
        ..usual
    };
    let line = "ping -c 2 -s 1000 -i 10 10.0.0.1";
    assert_eq!(request(line), Request::Ping(other));
    for line in [
        "ping",
        "ping -c 0 x",
        "ping -s 65508 x",
        "ping -i 0 x",
        "ping -c x",
        "ping x y",
        "ping -z 1 x",
        "host",
        "host a b",
        "tcpdump x",
        "tcpdump -c 0",
        "tcpdump -i",
        "ifconfig xn0",
        "netstat -n",
    ] {
        error(line);
    }
}
