//! What a browser makes of the page, as far as it can be told without one.

use std::path::PathBuf;

use crate::example;
use crate::html::document::{ICON, SCRIPT, STYLE, page};
use crate::html::live;
use crate::picture::{graph, layout};
use crate::snapshot::Snapshot;

/// Elements that have no end, and those whose end may be left out.
const OPEN: [&str; 10] = [
    "meta", "link", "input", "th", "td", "tr", "tbody", "!DOCTYPE", "br", "hr",
];

/// Panics unless every element ends where it should.
fn well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag's end");
        let quotes = tag.matches('"').count();
        assert!(quotes.is_multiple_of(2), "{tag}");
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        if let Some(end) = tag.strip_prefix('/') {
            if !OPEN.contains(&end) {
                assert_eq!(open.pop(), Some(end), "{part}");
            }
        } else if !OPEN.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_page_is_whole_and_takes_nothing_from_elsewhere() {
    for snapshot in [example::snapshot(), example::empty()] {
        let html = page(&snapshot);
        well_formed(&html);
        for part in html.split(['"', ' ']).filter(|part| part.contains("://")) {
            assert_eq!(part, "http://www.w3.org/2000/svg", "{part}");
        }
        // What the content security policy would not let through.
        assert!(!html.contains(" style=") && !html.contains("<style"));
        assert!(!html.contains("javascript:") && !html.contains(" on"));
        assert_eq!(html.matches("<script").count(), 1);
    }
}

#[test]
fn the_page_is_small() {
    let fixed = STYLE.len() + graph::STYLE.len() + SCRIPT.len() + ICON.len();
    assert!(fixed < 10 << 10, "{fixed}");
    let html = page(&example::snapshot()).len();
    assert!(html < 24 << 10, "{html}");
}

#[test]
fn p02_the_page_stays_small_however_much_there_is() {
    let mut snapshot = example::snapshot();
    fn many<T: Clone>(all: &mut Vec<T>) {
        *all = all.iter().cycle().take(10_000).cloned().collect();
    }
    many(&mut snapshot.facts.exports);
    many(&mut snapshot.facts.ports);
    many(&mut snapshot.disks);
    many(&mut snapshot.geoms);
    many(&mut snapshot.sockets);
    many(&mut snapshot.tasks);
    let html = page(&snapshot);
    well_formed(&html);
    assert!(html.len() < 200 << 10, "{}", html.len());
    assert!(html.contains("and 9936 more"));
}

#[test]
fn everything_of_the_domain_is_on_it() {
    let html = page(&example::snapshot());
    for part in [
        "storage",
        "domain 7",
        "3 d 04:05:06",
        "Everything is in order",
        "xbd0p2",
        "web &amp; data",
        "xvda",
        "192.168.1.20/24",
        "00:16:3e:12:34:56",
        "blkfront",
        "netfront",
        "192.168.1.7:50412",
        "GPT &lt;system&gt;",
        "xenstore",
        "disk \u{d7}2",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("id=\"command\""));
    assert!(!page(&example::empty()).contains("id=\"command\""));
}

/// Every text that a disk, a peer or the toolstack has a say in.
fn with_names(mut snapshot: Snapshot, name: &str) -> Snapshot {
    snapshot.name = name.into();
    for disk in &mut snapshot.disks {
        (disk.description, disk.ident) = (name.into(), name.into());
    }
    for provider in &mut snapshot.providers {
        (provider.label, provider.kind) = (name.into(), name.into());
    }
    for geom in &mut snapshot.geoms {
        (geom.detail, geom.defect) = (name.into(), Some(name.into()));
    }
    for export in &mut snapshot.facts.exports {
        export.provider = name.into();
    }
    for port in &mut snapshot.facts.ports {
        port.label = name.into();
    }
    for device in &mut snapshot.devices.all {
        device.error = name.into();
        (device.kind, device.peer) = (name.into(), name.into());
    }
    for interface in &mut snapshot.interfaces {
        interface.name = name.into();
    }
    snapshot
}

#[test]
fn p01_no_name_is_markup() {
    let plain = page(&with_names(example::snapshot(), "x"));
    let elements = |html: &str| html.matches('<').count();
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x>",
        "' onload='x",
        "&lt;",
        "a\u{0}b",
    ] {
        let html = page(&with_names(example::snapshot(), name));
        well_formed(&html);
        assert_eq!(elements(&html), elements(&plain), "{name:?}");
        assert!(!html.contains("<img") && !html.contains("<script>"));
    }
}

#[test]
fn what_changes_is_the_same_in_the_page_and_alone() {
    let snapshot = example::snapshot();
    let mut alone = String::new();
    live::write(&mut alone, &snapshot);
    assert!(page(&snapshot).contains(&format!("<main id=\"live\">\n{alone}</main>")));
}

/// With `XENOLITH_PAGE=FOLDER` the page is written there, to be looked at: serve the folder by any
/// HTTP server.
#[test]
fn the_page_as_files() {
    let Some(folder) = std::env::var_os("XENOLITH_PAGE").map(PathBuf::from) else {
        return;
    };
    let mut troubled = example::snapshot();
    troubled.disks[0].state = geom::disk::DiskState::Draining;
    troubled.geoms[0].detail = "draining".into();
    troubled.interfaces[0].up = false;
    let layout = layout::layout(&troubled.geoms, &troubled.providers);
    for (name, text) in [
        ("index.html", page(&example::snapshot())),
        ("troubled.html", page(&troubled)),
        ("empty.html", page(&example::empty())),
        ("page.css", format!("{STYLE}{}", graph::STYLE)),
        ("page.js", SCRIPT.into()),
        ("icon.svg", ICON.into()),
        ("geom.svg", graph::picture(&layout)),
    ] {
        std::fs::write(folder.join(name), text).expect(name);
    }
}
