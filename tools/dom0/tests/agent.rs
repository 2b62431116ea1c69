//! The agent, served over a socket on the host as it is over a virtio port in dom0.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use dom0::agent;
use dom0::wire::{Command, Ending, Frame, Kind, MAX_BODY, Put};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The host's end of an agent's port.
struct Host {
    port: UnixStream,
    next: u32,
}

impl Host {
    fn new() -> Self {
        let (port, agents) = UnixStream::pair().unwrap();
        let to = agents.try_clone().unwrap();
        thread::spawn(move || agent::serve(agents, to));
        port.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut host = Self { port, next: 1 };
        assert_eq!(host.read(), Frame::new(0, Kind::Hello, []));
        host
    }

    fn read(&mut self) -> Frame {
        Frame::read_from(&mut self.port).unwrap()
    }

    fn send(&mut self, id: u32, kind: Kind, body: impl Into<Vec<u8>>) {
        Frame::new(id, kind, body).write_to(&mut self.port).unwrap();
    }

    fn request(&mut self, kind: Kind, body: impl Into<Vec<u8>>) -> u32 {
        let id = self.next;
        self.next += 1;
        self.send(id, kind, body);
        id
    }

    fn run(&mut self, line: &str, limit: Duration, input: bool) -> u32 {
        self.request(
            Kind::Run,
            Command {
                limit,
                input,
                line: line.into(),
            }
            .encode(),
        )
    }

    /// The rest of request `id`: its output or data, and its last frame.
    fn rest(&mut self, id: u32) -> (Vec<u8>, Frame) {
        let mut data = Vec::new();
        loop {
            let frame = self.read();
            assert_eq!(frame.id, id);
            match frame.kind {
                Kind::Stdout | Kind::Stderr | Kind::Data => data.extend(frame.body),
                _ => return (data, frame),
            }
        }
    }

    fn ending(&mut self, id: u32) -> (String, Ending) {
        let (output, last) = self.rest(id);
        assert_eq!(
            last.kind,
            Kind::Exit,
            "{}",
            String::from_utf8_lossy(&last.body)
        );
        (
            String::from_utf8(output).unwrap(),
            Ending::decode(&last.body).unwrap(),
        )
    }
}

const LONG: Duration = Duration::from_secs(60);

fn scratch(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("agent-{}-{name}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    directory
}

#[test]
fn commands_say_how_they_ended() {
    let mut host = Host::new();
    for (line, ending) in [
        ("exit 7", Ending::Exited(7)),
        ("kill -TERM $$", Ending::Signalled(15)),
        ("no-such-program", Ending::Exited(127)),
    ] {
        let id = host.run(line, LONG, false);
        assert_eq!(host.ending(id).1, ending, "{line}");
    }
}

#[test]
fn a_command_is_killed_when_its_time_is_over_or_the_host_says_so() {
    let mut host = Host::new();
    let id = host.run(
        "echo x; sleep 600 & wait",
        Duration::from_millis(300),
        false,
    );
    assert_eq!(host.ending(id), ("x\n".into(), Ending::TimedOut));
    let id = host.run("sleep 600", LONG, false);
    host.send(id, Kind::Kill, []);
    assert_eq!(host.ending(id).1, Ending::Killed);
}

#[test]
fn a_command_that_leaves_something_running_ends_all_the_same() {
    let mut host = Host::new();
    let id = host.run("sleep 5 & echo started", LONG, false);
    assert_eq!(host.ending(id), ("started\n".into(), Ending::Exited(0)));
}

#[test]
fn input_reaches_a_command_that_wants_it() {
    let mut host = Host::new();
    let id = host.run("tr a-z A-Z", LONG, true);
    host.send(id, Kind::Data, *b"hello ");
    host.send(id, Kind::Data, *b"there");
    host.send(id, Kind::End, []);
    assert_eq!(host.ending(id), ("HELLO THERE".into(), Ending::Exited(0)));
}

#[test]
fn a_command_that_does_not_read_its_input_can_still_be_killed() {
    let mut host = Host::new();
    let id = host.run("sleep 600", LONG, true);
    for _ in 0..8 {
        host.send(id, Kind::Data, vec![0; MAX_BODY]);
    }
    host.send(id, Kind::Kill, []);
    assert_eq!(host.ending(id).1, Ending::Killed);
}

#[test]
fn files_go_and_come_back_whole() {
    let directory = scratch("files");
    let path = directory.join("a/b/file").display().to_string();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let mut host = Host::new();
    let id = host.request(
        Kind::Put,
        Put {
            mode: 0o755,
            path: path.clone(),
        }
        .encode(),
    );
    for part in bytes.chunks(MAX_BODY) {
        assert!(
            !fs::exists(&path).unwrap(),
            "not there before it is complete"
        );
        host.send(id, Kind::Data, part);
    }
    host.send(id, Kind::End, []);
    assert_eq!(host.rest(id).1.kind, Kind::Done);
    let id = host.request(Kind::Get, path.as_bytes());
    let (got, last) = host.rest(id);
    assert!(got == bytes && last.kind == Kind::Done);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_put_that_is_given_up_leaves_nothing() {
    let directory = scratch("given-up");
    let path = directory.join("file").display().to_string();
    let mut host = Host::new();
    let id = host.request(Kind::Put, Put { mode: 0o644, path }.encode());
    host.send(id, Kind::Data, *b"half");
    host.send(id, Kind::Kill, []);
    assert_eq!(host.rest(id).1.kind, Kind::Error);
    fs::remove_dir(directory).expect("empty");
}

#[test]
fn a_file_is_followed_from_before_it_exists() {
    let directory = scratch("followed");
    let path = directory.join("log");
    let mut host = Host::new();
    let id = host.request(Kind::Follow, path.display().to_string());
    fs::write(&path, "one\n").unwrap();
    assert_eq!(host.read(), Frame::new(id, Kind::Data, *b"one\n"));
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, b"two\n").unwrap();
    assert_eq!(host.read(), Frame::new(id, Kind::Data, *b"two\n"));
    host.send(id, Kind::Kill, []);
    assert_eq!(host.rest(id).1.kind, Kind::Done);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn what_is_no_request_is_refused() {
    let mut host = Host::new();
    for (kind, body) in [
        (Kind::Run, &b"x"[..]),
        (Kind::Put, b""),
        (Kind::Get, b"/no/such/file"),
        (Kind::Get, b"\xff"),
        (Kind::Terminal, b"/dev/null"),
        (Kind::Exit, b""),
    ] {
        let id = host.request(kind, body);
        assert_eq!(host.rest(id).1.kind, Kind::Error, "{kind:?}");
    }
    host.send(4711, Kind::Data, *b"for nobody");
    let id = host.run("echo still here", LONG, false);
    assert_eq!(host.ending(id).0, "still here\n");
}

#[test]
fn requests_do_not_wait_for_each_other() {
    let mut host = Host::new();
    let slow = host.run("sleep 1; echo slow", LONG, false);
    let quick = host.run("echo quick", LONG, false);
    assert_eq!(host.ending(quick).0, "quick\n");
    assert_eq!(host.ending(slow).0, "slow\n");
}
