//! The page, from dom0 and from the host.

use anyhow::{Context, Result, ensure};
use lab::Nest;

use super::http::{self, Answer, Request};
use super::metrics::Metrics;
use super::node::{self, ADDRESS, MEMORY_MIB};

/// What the domain is given on its command line.
const TOKEN: &str = "nested-0123456789abcdef";

/// `curl` in dom0 and a plain client on the host find the page, the metrics, and the graph; nobody
/// can run a command without the token.
pub(in crate::test::nested) fn is_what_it_says(nest: &Nest) -> Result<()> {
    let words =
        format!("md=first:8M md=second:4M page=80 token={TOKEN} nbd=first:md0 nbd=second:md1,ro");
    let mut guest = node::start(nest, "net-page", &words)?;
    let forward = nest.forward(ADDRESS)?;
    let get = |target: &str| http::ask(forward.address(), &Request::get(target));

    let page = good(get("/")?, "text/html")?;
    for word in ["md0", "md1", "first", "second", "<svg"] {
        ensure!(page.contains(word), "no {word:?} on the page:\n{page}");
    }
    for word in ["http://", "https://", "src=\"//"] {
        let outside = page.replace("http://www.w3.org/", "");
        ensure!(!outside.contains(word), "the page needs {word}:\n{page}");
    }

    let text = good(get("/metrics")?, "text/plain")?;
    let metrics = Metrics::parse(&text).with_context(|| text.clone())?;
    println!("      {} samples", metrics.len());
    let figure = |metrics: &Metrics, name: &str| -> Result<f64> {
        let all: Vec<f64> = metrics.of(name).map(|sample| sample.value).collect();
        ensure!(!all.is_empty(), "no {name} in\n{text}");
        Ok(all.iter().sum())
    };
    let memory = figure(&metrics, "xenolith_memory_bytes")?;
    ensure!(memory == f64::from(MEMORY_MIB) * 1_048_576.0, "{text}");
    let later = Metrics::parse(&good(get("/metrics")?, "text/plain")?)?;
    for name in [
        "xenolith_uptime_seconds",
        "xenolith_events_total",
        "xenolith_network_received_packets_total",
        "xenolith_network_sent_bytes_total",
    ] {
        let (before, after) = (figure(&metrics, name)?, figure(&later, name)?);
        ensure!(before < after, "{name}: {before}, then {after}");
    }
    let json = good(get("/geom.json")?, "application/json")?;
    let graph: serde_json::Value = serde_json::from_str(&json).context("/geom.json")?;
    ensure!(graph.is_object() || graph.is_array(), "{graph}");
    ensure!(
        json.contains("\"md0\"") && json.contains("\"md1\""),
        "{json}"
    );
    let dot = good(get("/geom.dot")?, "text/")?;
    ensure!(dot.trim_start().starts_with("digraph"), "{dot}");
    ensure!(get("/nothing-like-it")?.status == 404, "a page that is not");

    // The same by curl in dom0. Figures have changed since: the graph has not.
    for (target, host) in [("/geom.json", &json), ("/geom.dot", &dot)] {
        let line = format!("curl -sf --max-time 30 http://{ADDRESS}{target}");
        ensure!(&nest.check(&line)? == host, "{target} by curl");
    }
    let line = format!("curl -sf --max-time 30 http://{ADDRESS}");
    Metrics::parse(&nest.check(&format!("{line}/metrics"))?)?;
    nest.check(&format!("{line}/ | grep -q '</html>'"))?;

    let run = || Request::post("/run", "mdconfig -a -s 1M");
    for (request, why) in [
        (run(), "without a token"),
        (run().with("Authorization", "Bearer nested"), "a wrong one"),
    ] {
        let status = http::ask(forward.address(), &request)?.status;
        ensure!([401, 403].contains(&status), "{why}: {status}");
    }
    ensure!(!guest.command("geom tree")?.contains("md2"), "it ran");
    let bearer = format!("Bearer {TOKEN}");
    let answer = http::ask(forward.address(), &run().with("Authorization", &bearer))?;
    ensure!(answer.status == 200, "with the token: {answer:?}");
    ensure!(
        guest.command("geom tree")?.contains("md2"),
        "it did not run"
    );
    drop(forward);
    guest.destroy()
}

/// The body of a good answer of this type.
fn good(answer: Answer, kind: &str) -> Result<String> {
    ensure!(answer.status == 200, "{answer:?}");
    let found = answer.field("content-type").context("no content-type")?;
    ensure!(found.starts_with(kind), "content-type {found}, not {kind}");
    Ok(answer.text()?.to_owned())
}
