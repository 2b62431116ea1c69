//! Which answer a path has.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use exec::{Executor, Level, Log};
use futures_util::stream;
use http::response::TEXT;
use http::{Chunks, Head, Method, Request, Response, Status};
use net::IpAddress;

use crate::collect::Page;
use crate::html::{document, live};
use crate::metrics::{exposition, families};
use crate::picture::{graph, layout};
use crate::snapshot::Snapshot;
use crate::token::{self, Verdict};
use crate::{capture, command, json};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
/// What is here to be read.
const READ: [&str; 12] = [
    "/",
    "/live",
    "/status.json",
    "/metrics",
    "/geom.json",
    "/geom.dot",
    "/geom.svg",
    "/log",
    "/capture.pcap",
    "/page.css",
    "/page.js",
    "/icon.svg",
];
/// Nothing comes from elsewhere and nothing stands in the page itself: a name that got through as
/// markup could still do nothing.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// For a picture that stands alone, with its looks in it.
const PICTURE_POLICY: &str = "Content-Security-Policy: default-src 'none'; \
    style-src 'unsafe-inline'; frame-ancestors 'none'";
/// How long one who guesses tokens waits for the answer.
const WRONG: Duration = Duration::from_secs(1);
const NO_ROOM: &str = "too little memory is free";
/// Bytes of the log sent at once.
const PIECE: usize = 4096;

/// The answer to `request` of the client at `from`.
pub(crate) async fn answer(page: &Rc<Page>, request: Request, from: IpAddress) -> Response {
    // A client may send many requests at once: each has a turn of its own, and others theirs.
    page.exec.yield_now().await;
    let head = &request.head;
    let path = head.path();
    let allow = match path {
        "/run" => "POST",
        path if READ.contains(&path) => "GET, HEAD",
        _ => return Response::error(Status::NotFound, "there is nothing here"),
    };
    match (head.method(), allow) {
        (Method::Post, "POST") => run(page, request, from).await,
        (Method::Get | Method::Head, "GET, HEAD") => read(page, &request, from).await,
        _ => Response::method_not_allowed(allow),
    }
    .with("Referrer-Policy: no-referrer")
}

async fn read(page: &Rc<Page>, request: &Request, from: IpAddress) -> Response {
    let path = request.head.path();
    if path == "/capture.pcap"
        && let Err(refused) = allowed(page, &request.head, from).await
    {
        return refused;
    }
    if !page.has_room(path) {
        return Response::error(Status::Unavailable, NO_ROOM);
    }
    if let Some(response) = apart(page, &request.head) {
        return response;
    }
    let snapshot = page.snapshot().await;
    // Others may have looked in the meantime.
    if !page.has_room(path) {
        return Response::error(Status::Unavailable, NO_ROOM);
    }
    drawn(path, &snapshot)
}

fn text(kind: &'static str, text: String) -> Response {
    Response::ok(kind, text.into_bytes())
}

/// What is answered without a look at the whole domain.
fn apart(page: &Rc<Page>, head: &Head) -> Option<Response> {
    Some(match head.path() {
        "/page.css" => {
            let style = format!("{}{}", document::STYLE, graph::STYLE);
            text("text/css; charset=utf-8", style)
        }
        "/page.js" => Response::ok(
            "text/javascript; charset=utf-8",
            document::SCRIPT.as_bytes(),
        ),
        "/icon.svg" => Response::ok(SVG, document::ICON.as_bytes()),
        "/geom.json" => text(JSON, page.geom.json()),
        "/geom.dot" => text("text/vnd.graphviz; charset=utf-8", page.geom.dot()),
        "/geom.svg" => {
            let layout = layout::layout(&page.geom.geoms(), &page.geom.providers());
            text(SVG, graph::picture(&layout)).with(PICTURE_POLICY)
        }
        "/log" => Response::stream(TEXT, log(page)),
        "/capture.pcap" if head.method() == Method::Head => Response::ok(capture::TYPE, &b""[..]),
        "/capture.pcap" => capture::answer(page, head.query()),
        _ => return None,
    })
}

/// What is made of a look at the whole domain.
fn drawn(path: &str, snapshot: &Snapshot) -> Response {
    match path {
        "/status.json" => text(JSON, json::status::status(snapshot)),
        "/metrics" => text(exposition::CONTENT_TYPE, families::metrics(snapshot)),
        "/live" => {
            let mut out = String::new();
            live::write(&mut out, snapshot);
            text(HTML, out).with(POLICY)
        }
        _ => text(HTML, document::page(snapshot)).with(POLICY),
    }
}

async fn run(page: &Rc<Page>, request: Request, from: IpAddress) -> Response {
    if let Err(refused) = allowed(page, &request.head, from).await {
        return refused;
    }
    match String::from_utf8(request.body) {
        Ok(line) => command::answer(page, line),
        Err(_) => Response::error(Status::BadRequest, "the line is not text"),
    }
}

/// Whether the client has the domain's token.
///
/// # Errors
/// What it is answered if not. One who guesses waits for it.
async fn allowed(page: &Page, head: &Head, from: IpAddress) -> Result<(), Response> {
    let Some(token) = &page.token else {
        let why = "commands and captures need a token: \
            the guest's configuration has no token=";
        return Err(Response::error(Status::Forbidden, why));
    };
    match token::check(head, token) {
        Verdict::Good => Ok(()),
        Verdict::Missing => {
            let response = Response::error(Status::Unauthorized, "a token is needed");
            Err(response.with("WWW-Authenticate: Bearer"))
        }
        Verdict::Wrong => {
            let text = format_args!("{from} has sent a wrong token");
            page.log.limited(Level::Warn, "page", text);
            page.exec.sleep(WRONG).await;
            let response = Response::error(Status::Unauthorized, "this is not the token");
            Err(response.with("WWW-Authenticate: Bearer error=\"invalid_token\""))
        }
    }
}

/// The log, bit by bit: all of it would be a large piece of memory.
fn log(page: &Page) -> Chunks {
    let (exec, log) = (page.exec.clone(), page.log.clone());
    let next = |(exec, log, mut next): (Executor, Log, u64)| async move {
        exec.yield_now().await;
        let mut piece = Vec::new();
        for line in log.lines_from(next) {
            next = line.number + 1;
            piece.extend_from_slice(format!("{line}\n").as_bytes());
            if piece.len() >= PIECE {
                break;
            }
        }
        (!piece.is_empty()).then_some((piece, (exec, log, next)))
    };
    alloc::boxed::Box::pin(stream::unfold((exec, log, 0), next))
}

#[cfg(test)]
mod tests;
