//! What only those may do who have the domain's token.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use geom::Errno;
use geom::disk::{Disk, DiskBio, DiskParams};
use http::{Body, Status};
use hv::ShutdownReason;
use shell::output::Output;

use super::{Bench, FROM, GOOD, answer, answer_of, read};
use crate::snapshot::{Facts, Inside, Running};

#[test]
fn a_line_of_commands_needs_the_token() {
    let bench = Bench::new(Some("s3cret"));
    let answer = bench.post(GOOD, "xenstore read name; geom tree; frob");
    assert_eq!(answer.status, Status::Ok, "{}", answer.text);
    let expected = "guest\nram0  DISK  1.0 MiB";
    assert!(answer.text.starts_with(expected), "{}", answer.text);
    assert!(
        answer
            .text
            .ends_with("frob: no such command; `help` lists them\n")
    );
    assert!(bench.exports.driver.log_lines("runs: xenstore") == 1);
    assert_eq!(bench.post("", "mem").status, Status::Unauthorized);
    let before = bench.page.exec.now();
    let wrong = bench.post("Authorization: Bearer s3cres\r\n", "poweroff");
    assert_eq!(wrong.status, Status::Unauthorized);
    assert!(
        wrong
            .head
            .contains("\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\n")
    );
    let waited = bench.page.exec.now().since(before);
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    assert_eq!(bench.exports.driver.log_lines("has sent a wrong token"), 1);
    assert!(
        bench
            .exports
            .driver
            .dom
            .xen()
            .ended(sim::exports::DRIVER)
            .is_none()
    );
}

#[test]
fn without_a_token_no_command_is_taken() {
    let bench = Bench::new(None);
    for token in ["", GOOD, "Authorization: Bearer \r\n"] {
        let answer = bench.post(token, "poweroff");
        assert_eq!(answer.status, Status::Forbidden);
        assert!(answer.text.contains("token="), "{}", answer.text);
    }
    assert!(!bench.get("/").text.contains("id=\"command\""));
}

#[test]
fn what_prints_much_comes_bit_by_bit_and_one_line_runs_at_a_time() {
    let bench = Bench::new(Some("s3cret"));
    let page = bench.page.clone();
    let guest = &bench.exports.driver;
    let request = || {
        let line = "help; help; help; help; dmesg";
        let length = line.len();
        read(&format!(
            "POST /run HTTP/1.1\r\nHost: x\r\n{GOOD}Content-Length: {length}\r\n\r\n{line}"
        ))
    };
    let asked = guest.run(&bench.exports.world, async move {
        let first = answer(&page, request(), FROM).await;
        let second = answer(&page, request(), FROM).await;
        let Body::Chunks(chunks) = first.body else {
            panic!("it is whole");
        };
        let pieces: Vec<Vec<u8>> = chunks.collect().await;
        let third = answer(&page, request(), FROM).await;
        (pieces, second.status, third.status)
    });
    let (pieces, second, third) = asked.expect("an answer");
    assert_eq!((second, third), (Status::Unavailable, Status::Ok));
    assert!(pieces.concat().len() > 4096);
}

#[test]
fn a_client_that_goes_ends_its_line() {
    let bench = Bench::new(Some("s3cret"));
    let line = "sum ram0";
    let page = bench.page.clone();
    let text = format!("POST /run HTTP/1.1\r\nHost: x\r\n{GOOD}Content-Length: 8\r\n\r\n{line}");
    let guest = &bench.exports.driver;
    let dropped = guest.run(&bench.exports.world, async move {
        drop(answer(&page, read(&text), FROM).await);
    });
    dropped.expect("it was dropped");
    assert_eq!(bench.post(GOOD, "mem").status, Status::Ok);
}

/// A disk that answers nothing, until the test does.
struct Silent(Rc<RefCell<Vec<DiskBio>>>);

impl Disk for Silent {
    fn strategy(&mut self, bio: DiskBio) {
        self.0.borrow_mut().push(bio);
    }

    fn gone(self: Box<Self>) {}
}

#[test]
fn p04_a_line_that_comes_to_no_end_is_ended() {
    let bench = Bench::new(Some("s3cret"));
    let held = Rc::new(RefCell::new(Vec::new()));
    let geom = &bench.exports.driver.geom;
    let disk = Box::new(Silent(held.clone()));
    let handle = geom.disk_create(DiskParams::new("silent", 0, 4096), disk);
    bench.exports.run_for(Duration::from_secs(200));
    let before = bench.page.exec.now();
    let answer = bench.post(GOOD, "sum silent0");
    assert!(
        answer.text.ends_with("it ran for five minutes\n"),
        "{}",
        answer.text
    );
    let took = bench.page.exec.now().since(before);
    assert!((300..330).contains(&took.as_secs()), "{took:?}");
    let fail = |bio: DiskBio| bio.complete(Err(Errno::Io));
    held.take().into_iter().for_each(fail);
    drop(handle);
}

#[test]
fn the_end_comes_after_the_answer_and_after_the_clients_were_told() {
    let bench = Bench::new(Some("s3cret"));
    assert_eq!(
        bench
            .post(GOOD, "mem; poweroff; mem")
            .text
            .matches("heap")
            .count(),
        1
    );
    let xen = bench.exports.driver.dom.xen().clone();
    assert!(xen.ended(sim::exports::DRIVER).is_none(), "not at once");
    bench.exports.until("the domain ends", || {
        let ended = xen.ended(sim::exports::DRIVER);
        ended == Some(sim::Ended::Shutdown(ShutdownReason::Poweroff))
    });
}

/// A domain whose commands always have more to say.
struct Chatty(Rc<dyn Inside>);

impl Inside for Chatty {
    fn facts(&self) -> Facts {
        self.0.facts()
    }

    fn heap_room(&self) -> usize {
        self.0.heap_room()
    }

    fn exports(&self) -> usize {
        self.0.exports()
    }

    fn run(self: Rc<Self>, _line: String, out: Output) -> Running {
        Box::pin(poll_fn(move |_| {
            out.write("more\n");
            Poll::Pending
        }))
    }

    fn end(self: Rc<Self>, _reason: ShutdownReason) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async {})
    }
}

#[test]
fn p09_a_line_that_always_has_more_to_say_is_ended() {
    let mut bench = Bench::new(Some("s3cret"));
    let page = Rc::get_mut(&mut bench.page).expect("no client");
    page.inside = Rc::new(Chatty(page.inside.clone()));
    let (page, exec) = (bench.page.clone(), bench.page.exec.clone());
    let guest = &bench.exports.driver;
    let ran = guest.run(&bench.exports.world, async move {
        let text = format!("POST /run HTTP/1.1\r\nHost: x\r\n{GOOD}Content-Length: 3\r\n\r\nmem");
        let Body::Chunks(mut pieces) = answer_of(&page, &text).await.body else {
            panic!("it is whole");
        };
        let mut last = Vec::new();
        for _ in 0..9 {
            let Some(piece) = pieces.next().await else {
                break;
            };
            last = piece;
            exec.sleep(Duration::from_secs(50)).await;
        }
        String::from_utf8_lossy(&last).into_owned()
    });
    let last = ran.expect("an end");
    assert!(last.ends_with("it ran for five minutes\n"), "{last}");
}

#[test]
fn packets_come_as_a_file_for_as_long_as_was_asked() {
    let bench = Bench::new(Some("s3cret"));
    let before = bench.page.exec.now();
    let text = |query: &str| format!("GET /capture.pcap?{query} HTTP/1.1\r\nHost: x\r\n{GOOD}\r\n");
    let answer = bench.ask(&text("seconds=3"));
    assert_eq!(answer.status, Status::Ok);
    assert!(
        answer
            .head
            .contains("\r\nContent-Type: application/vnd.tcpdump.pcap\r\n")
    );
    assert!(answer.head.contains("filename=\"xenolith.pcap\""));
    let took = bench.page.exec.now().since(before);
    assert!((3..5).contains(&took.as_secs()), "{took:?}");
    let bad = bench.ask(&text("seconds=61"));
    assert_eq!(bad.status, Status::BadRequest);
    let page = bench.page.clone();
    let guest = &bench.exports.driver;
    let text = text("seconds=1");
    let second = guest.run(&bench.exports.world, async move {
        let first = answer_of(&page, &text).await;
        let second = answer_of(&page, &text).await.status;
        drop(first);
        (second, answer_of(&page, &text).await.status)
    });
    assert_eq!(second.expect("answers"), (Status::Unavailable, Status::Ok));
}

#[test]
fn packets_are_for_whoever_has_the_token() {
    for method in ["GET", "HEAD"] {
        let text =
            |token| format!("{method} /capture.pcap?seconds=1 HTTP/1.1\r\nHost: x\r\n{token}\r\n");
        let bench = Bench::new(None);
        for token in ["", GOOD] {
            let answer = bench.ask(&text(token));
            assert_eq!(answer.status, Status::Forbidden);
            assert!(answer.text.contains("token="), "{}", answer.text);
        }
        let bench = Bench::new(Some("s3cret"));
        let wrong = "Authorization: Bearer s3cres\r\n";
        for token in ["", wrong] {
            assert_eq!(bench.ask(&text(token)).status, Status::Unauthorized);
        }
        assert_eq!(bench.ask(&text(GOOD)).status, Status::Ok);
    }
}
