//! Every route of a driver domain in the simulator, with one client that has a disk of it.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use http::{Body, Incoming, Request, Response, Status};
use net::{IpAddress, Net};
use shell::command::Parts;
use sim::{Dom, Exports, Guest};

use super::{READ, answer};
use crate::collect::Page;

mod memory;
mod with_token;

const FROM: IpAddress = IpAddress::v4(192, 168, 1, 7);

struct Bench {
    exports: Exports,
    page: Rc<Page>,
    _client: Guest,
}

/// An answer that has come.
struct Answer {
    status: Status,
    head: String,
    text: String,
}

impl Bench {
    fn new(token: Option<&str>) -> Self {
        let exports = Exports::new(1);
        let client = exports.client(3);
        let guest = &exports.driver;
        let net = Net::new(&guest.pv, Vec::new());
        let parts: Parts<Dom> = Parts {
            pv: guest.pv.clone(),
            balloon: Default::default(),
            store: guest.store.clone(),
            geom: guest.geom.clone(),
            blkback: guest.blkback.clone().expect("a backend"),
            net: net.clone(),
            pcifront: pcifront::Pcifront::start(&guest.pv, &guest.store, Vec::new()),
            nvme: nvme::Nvme::new(&guest.pv, &guest.geom),
        };
        let page = Page::new(parts, net, 80, token.map(Into::into));
        Self {
            exports,
            page: Rc::new(page),
            _client: client,
        }
    }

    /// Answers `request`, to the end of its body.
    fn ask(&self, request: &str) -> Answer {
        let page = self.page.clone();
        let request = read(request);
        let guest = &self.exports.driver;
        let asked = guest.run(&self.exports.world, async move {
            gather(answer(&page, request, FROM).await).await
        });
        asked.expect("an answer")
    }

    fn get(&self, path: &str) -> Answer {
        let answer = self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status, Status::Ok, "{path}: {}", answer.text);
        answer
    }

    fn post(&self, token: &str, line: &str) -> Answer {
        let length = line.len();
        self.ask(&format!(
            "POST /run HTTP/1.1\r\nHost: x\r\n{token}Content-Length: {length}\r\n\r\n{line}"
        ))
    }
}

const GOOD: &str = "Authorization: Bearer s3cret\r\n";

fn read(text: &str) -> Request {
    let mut incoming = Incoming::new();
    incoming.push(text.as_bytes());
    incoming.take_request().expect("good").expect("whole")
}

async fn gather(response: Response) -> Answer {
    let (status, head) = (response.status, response.render(true, false));
    let bytes = match response.body {
        Body::Whole(bytes) => bytes.into_owned(),
        Body::Chunks(chunks) => chunks.concat().await,
    };
    Answer {
        status,
        head,
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

#[test]
fn every_route_answers_with_its_type() {
    let bench = Bench::new(None);
    for (path, kind, part) in [
        (
            "/",
            "text/html; charset=utf-8",
            "<title>guest - Xenolith</title>",
        ),
        ("/?x", "text/html; charset=utf-8", "<main id=\"live\">"),
        (
            "/live",
            "text/html; charset=utf-8",
            "<header><h1>guest</h1>",
        ),
        ("/status.json", "application/json", "\"provider\":\"ram0\""),
        (
            "/metrics",
            "text/plain; version=0.0.4; charset=utf-8",
            "provider=\"ram0\"} ",
        ),
        ("/geom.json", "application/json", "\"name\":\"ram0\""),
        (
            "/geom.dot",
            "text/vnd.graphviz; charset=utf-8",
            "digraph geom",
        ),
        ("/geom.svg", "image/svg+xml", "ram0"),
        ("/log", "text/plain; charset=utf-8", "blkback"),
        ("/page.css", "text/css; charset=utf-8", ".graph"),
        ("/page.js", "text/javascript; charset=utf-8", "fetch"),
        ("/icon.svg", "image/svg+xml", "<svg"),
    ] {
        let answer = bench.get(path);
        let field = format!("\r\nContent-Type: {kind}\r\n");
        assert!(answer.head.contains(&field), "{path}: {}", answer.head);
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
        assert!(
            answer
                .head
                .contains("\r\nX-Content-Type-Options: nosniff\r\n")
        );
        assert!(answer.head.contains("\r\nReferrer-Policy: no-referrer\r\n"));
        assert!(
            !answer.head.contains("Access-Control"),
            "no other site may read it"
        );
        if kind.contains("html") || kind.contains("svg+xml") && path != "/icon.svg" {
            let policy = "\r\nContent-Security-Policy: default-src 'none'; ";
            assert!(answer.head.contains(policy), "{path}");
        }
        assert!(answer.head.contains("Cache-Control: no-store"));
    }
}

#[test]
fn the_devices_are_those_of_the_store() {
    let bench = Bench::new(None);
    let status: serde_json::Value =
        serde_json::from_str(&bench.get("/status.json").text).expect("JSON");
    let device = &status["devices"][0];
    assert_eq!(device["backend"], true);
    assert_eq!(
        (&device["kind"], &device["peer"]),
        (&"vbd".into(), &"3".into())
    );
    assert_eq!(device["state"], "Connected");
    assert_eq!(device["peer_state"], "Connected");
    assert_eq!(
        (&status["name"], &status["domain"]),
        (&"guest".into(), &9.into())
    );
    assert_eq!(status["findings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn p06_a_pipeline_of_requests_leaves_others_their_turns() {
    let bench = Bench::new(None);
    for number in 0..100 {
        exec::info!(bench.page.log, "test", "{number} {}", "x".repeat(200));
    }
    bench.get("/");
    let (page, exec) = (bench.page.clone(), bench.page.exec.clone());
    let guest = &bench.exports.driver;
    let asked = guest.run(&bench.exports.world, async move {
        for path in ["/", "/icon.svg", "/nothing", "/run"].repeat(5) {
            let before = exec.polls();
            answer_of(&page, &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert!(exec.polls() > before, "{path}");
        }
        let log = answer_of(&page, "GET /log HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let before = exec.polls();
        let Body::Chunks(pieces) = log.body else {
            panic!("it is whole");
        };
        let pieces = pieces.count().await as u64;
        assert!(pieces > 3 && exec.polls() - before >= pieces, "{pieces}");
    });
    asked.expect("answers");
}

#[test]
fn p03_no_more_devices_are_looked_at_than_fit() {
    let bench = Bench::new(None);
    for number in 0..70 {
        let path = format!("/local/domain/9/device/vbd/{number}/backend-id");
        bench.exports.toolstack.store().write(&path, "0");
    }
    let page = bench.get("/").text;
    assert!(page.contains("There may be more"), "{page}");
    let status: serde_json::Value =
        serde_json::from_str(&bench.get("/status.json").text).expect("JSON");
    assert_eq!(status["devices"].as_array().map(Vec::len), Some(64));
}

#[test]
fn p05_a_store_that_does_not_answer_leaves_the_rest_of_the_page() {
    let bench = Bench::new(None);
    bench.exports.toolstack.store().set_silent(true);
    let before = bench.page.exec.now();
    let page = bench.get("/").text;
    assert!(
        page.contains("There may be more") && page.contains("ram0"),
        "{page}"
    );
    let took = bench.page.exec.now().since(before);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn rates_come_with_the_second_look() {
    let bench = Bench::new(None);
    assert!(
        !bench
            .get("/status.json")
            .text
            .contains("requests_per_second")
    );
    bench.exports.run_for(Duration::from_secs(2));
    assert!(
        bench
            .get("/status.json")
            .text
            .contains("requests_per_second")
    );
}

#[test]
fn h06_other_methods_are_told_which_there_are() {
    let bench = Bench::new(Some("s3cret"));
    for (method, path, allow) in [
        ("PUT", "/", "GET, HEAD"),
        ("OPTIONS", "/run", "POST"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/run", "POST"),
    ] {
        let answer = bench.ask(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status, Status::MethodNotAllowed, "{method} {path}");
        assert!(answer.head.contains(&format!("\r\nAllow: {allow}\r\n")));
    }
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(bench.ask(post).status, Status::MethodNotAllowed);
}

#[test]
fn h05_paths_that_lead_nowhere() {
    let bench = Bench::new(None);
    for path in [
        "/x",
        "//",
        "/../log",
        "/%6cog",
        "/log/",
        "/LOG",
        "/status.json%00",
    ] {
        let answer = bench.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status, Status::NotFound, "{path}");
    }
}

#[test]
fn a_head_needs_no_body_of_any_route() {
    let bench = Bench::new(None);
    for path in READ.iter().filter(|path| **path != "/capture.pcap") {
        let answer = bench.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.status, Status::Ok, "{path}");
    }
}

async fn answer_of(page: &Rc<Page>, text: &str) -> Response {
    answer(page, read(text), FROM).await
}
