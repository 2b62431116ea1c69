//! What changes, from top to bottom.

use alloc::string::String;

use crate::health::{Severity, findings};
use crate::html::{inside, network, peers, storage, tiles};
use crate::picture::{graph, layout};
use crate::snapshot::Snapshot;
use crate::text::{Escaped, long_time, put};

/// How the domain is called here.
#[must_use]
pub fn name(snapshot: &Snapshot) -> &str {
    if snapshot.name.is_empty() {
        "Xenolith"
    } else {
        &snapshot.name
    }
}

/// All of it, as it stands in the page's `main`.
pub fn write(out: &mut String, snapshot: &Snapshot) {
    header(out, snapshot);
    told(out, snapshot);
    tiles::write(out, snapshot);
    picture(out, snapshot);
    storage::exports(out, snapshot);
    storage::disks(out, snapshot);
    network::write(out, snapshot);
    peers::write(out, snapshot);
    inside::log(out, snapshot);
    network::sockets(out, snapshot);
    inside::details(out, snapshot);
}

fn header(out: &mut String, snapshot: &Snapshot) {
    let name = Escaped(name(snapshot));
    put(out, format_args!("<header><h1>{name}</h1><p>"));
    if let Some(domain) = snapshot.domain {
        put(out, format_args!("domain {domain} \u{b7} "));
    }
    let date = shell::date::utc(snapshot.facts.wall);
    let up = long_time(snapshot.facts.now.since_start());
    put(
        out,
        format_args!(
            "up {up} \u{b7} {date} \u{b7} Xenolith {}</p></header>\n",
            env!("CARGO_PKG_VERSION")
        ),
    );
}

/// What should be looked at, or that there is nothing.
fn told(out: &mut String, snapshot: &Snapshot) {
    let findings = findings(snapshot);
    let Some(worst) = findings.first() else {
        out.push_str("<p class=\"health good\">Everything is in order</p>\n");
        return;
    };
    let class = match worst.severity {
        Severity::Bad => "bad",
        Severity::Odd => "odd",
    };
    put(out, format_args!("<ul class=\"health {class}\">"));
    for finding in &findings {
        put(out, format_args!("<li>{}</li>", Escaped(&finding.text)));
    }
    out.push_str("</ul>\n");
}

fn picture(out: &mut String, snapshot: &Snapshot) {
    out.push_str("<section class=\"card\"><h2>GEOM</h2>");
    if snapshot.geoms.is_empty() {
        out.push_str("<p class=\"none\">There is no disk.</p></section>\n");
        return;
    }
    let layout = layout::layout(&snapshot.geoms, &snapshot.providers);
    put(
        out,
        format_args!("<div class=\"wide\">{}</div>", graph::element(&layout)),
    );
    if layout.more {
        out.push_str(
            "<p class=\"none\">There is more than is drawn: <a href=\"/geom.json\">geom.json</a> \
             has all of it.</p>",
        );
    }
    out.push_str("</section>\n");
}
