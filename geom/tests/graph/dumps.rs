//! The graph in text, JSON and dot, and attributes.

use geom::disk::Attribute;
use geom::{Access, Errno};

use crate::rig::{Rig, with_head};

#[test]
fn the_tree_shows_who_holds_what() {
    let rig = Rig::new();
    let (_fake, handle) = rig.settled_disk(0, with_head(64, &[(1, 8), (9, 8)]));
    let device = rig
        .geom
        .open_as("xbd0h1", Access::READ_WRITE, "shell")
        .unwrap();
    let tree = "\
xbd0  DISK  32.0 KiB, sectors of 512  r1w1e1
  HEAD xbd0  HEAD  r1w1e1
    xbd0h1  4.0 KiB at 512  test  r1w1e0
      DEV shell  r1w1e0
    xbd0h2  4.0 KiB at 4608  test  r0w0e0
";
    assert_eq!(rig.geom.tree(), tree);
    handle.gone();
    assert!(rig.geom.tree().contains("lost (ENXIO)"));
    drop(device);
}

#[test]
fn json_balances_and_dot_names_every_object() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let _device = rig
        .geom
        .open_as("xbd0h1", Access::READ, "a \"quoted\" \\ name")
        .unwrap();
    let json = rig.geom.json();
    let count = |what: char| json.matches(what).count();
    assert_eq!(count('{'), count('}'));
    assert_eq!(count('['), count(']'));
    assert!(json.contains("a \\\"quoted\\\" \\\\ name"));
    let dot = rig.geom.dot();
    for provider in rig.geom.providers() {
        assert!(dot.contains(&format!("  p{} [label=\"{}\\n", provider.id, provider.name)));
    }
    let list = rig.geom.list();
    for line in [
        "Geom name: xbd0",
        "Class: HEAD",
        "scheme: HEAD",
        "   Mode: r1w0e0",
        "type: test",
    ] {
        assert!(list.contains(line), "{line} is not in\n{list}");
    }
}

#[test]
fn geoms_say_what_they_stand_on_and_make() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.settled_disk(0, with_head(64, &[(1, 8)]));
    let _device = rig
        .geom
        .open_as("xbd0h1", Access::READ_WRITE, "shell")
        .unwrap();
    let id = |name: &str| rig.geom.provider(name).unwrap().id;
    let geoms = rig.geom.geoms();
    let shown = |index: usize| {
        let geom: &geom::GeomInfo = &geoms[index];
        let below = geom.consumer.map(|c| (c.provider, c.counts.to_string()));
        let what = (geom.class, geom.detail.clone());
        (what, below, geom.providers.clone())
    };
    let (disk, partition) = (id("xbd0"), id("xbd0h1"));
    assert_eq!(shown(0), (("DISK", "live".into()), None, vec![disk]));
    let below = Some((disk, "r1w1e1".into()));
    assert_eq!(shown(1), (("HEAD", "HEAD".into()), below, vec![partition]));
    let below = Some((partition, "r1w1e0".into()));
    assert_eq!(shown(2), (("DEV", "shell".into()), below, vec![]));
    assert_eq!(rig.geom.provider("xbd0h1").unwrap().kind, "test");
}

#[test]
fn attributes_come_from_the_nearest_that_knows() {
    let rig = Rig::new();
    let media = with_head(64, &[(3, 8)]);
    let mut params = crate::rig::params(0, media.len() as u64);
    params.ident = "seri\u{e9}l".into();
    params.fwheads = 16;
    let fake = crate::fake::Fake::new(media);
    let handle = rig.create(params, &fake);
    rig.settle();
    let device = rig.open("xbd0h1", Access::READ);
    let text = |text: &str| Ok(Attribute::Text(text.into()));
    assert_eq!(device.attribute("HEAD::scheme"), text("HEAD"));
    assert_eq!(device.attribute("HEAD::type"), text("test"));
    assert_eq!(
        device.attribute("HEAD::offset"),
        Ok(Attribute::Number(3 * 512))
    );
    assert_eq!(device.attribute("FAKE::colour"), text("green"));
    assert_eq!(device.attribute("FAKE::broken"), Err(Errno::Io));
    assert_eq!(device.attribute("GEOM::ident"), text("serixc3xa9l"));
    assert_eq!(
        device.attribute("GEOM::candelete"),
        Ok(Attribute::Flag(true))
    );
    assert_eq!(device.attribute("GEOM::fwheads"), Ok(Attribute::Number(16)));
    assert_eq!(device.attribute("GEOM::nothing"), Err(Errno::NotFound));
    let generation = device.generation();
    handle.attr_changed().unwrap();
    assert_eq!(device.generation(), generation + 1);
    handle.gone();
    assert_eq!(device.attribute("GEOM::ident"), Err(Errno::NoDevice));
    assert_eq!(device.error(), Some(Errno::NoDevice));
}
