//! Answers need memory that others may need more.

use std::time::Duration;

use geom::Errno;
use geom::disk::{Disk, DiskBio, DiskParams};
use http::Status;
use hv::Hypervisor;

use super::{Bench, GOOD, answer_of};

#[test]
fn p11_a_domain_that_runs_out_of_memory_keeps_it_for_itself() {
    let bench = Bench::new(Some("s3cret"));
    let dom = &bench.exports.driver.dom;
    let mut taken: Vec<_> = std::iter::from_fn(|| dom.alloc_page()).collect();
    // What the heap leaves for pages is no answer's.
    let kept = dom.memory_use().total / 8;
    taken.truncate(taken.len() - kept);
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /log HTTP/1.0\r\n\r\n",
    ] {
        assert_eq!(bench.ask(request).status, Status::Unavailable);
    }
    assert_eq!(bench.post(GOOD, "mem").status, Status::Ok, "it may help");
    // What takes little needs little.
    taken.truncate(taken.len() - 32);
    bench.get("/log");
    bench.get("/page.css");
    let page = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(bench.ask(page).status, Status::Unavailable);
    drop(taken);
    bench.get("/");
}

#[test]
fn p12_what_was_free_may_be_gone_once_the_store_has_answered() {
    let bench = Bench::new(None);
    bench.exports.toolstack.store().set_silent(true);
    let (page, dom) = (bench.page.clone(), bench.exports.driver.dom.clone());
    let guest = &bench.exports.driver;
    let asked = guest.run(&bench.exports.world, async move {
        let others = async {
            page.exec.sleep(Duration::from_millis(300)).await;
            std::iter::from_fn(|| dom.alloc_page()).collect::<Vec<_>>()
        };
        let asking = answer_of(&page, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (answer, taken) = futures_util::future::join(asking, others).await;
        drop(taken);
        answer.status
    });
    assert_eq!(asked.expect("an answer"), Status::Unavailable);
}

/// A disk that cannot be read.
struct Bad;

impl Disk for Bad {
    fn strategy(&mut self, bio: DiskBio) {
        bio.complete(Err(Errno::Io));
    }

    fn gone(self: Box<Self>) {}
}

#[test]
fn p13_a_large_graph_needs_most_where_it_is_shown_whole() {
    let bench = Bench::new(None);
    let (geom, dom) = (&bench.exports.driver.geom, &bench.exports.driver.dom);
    let disks: Vec<_> = (0..500)
        .map(|unit| geom.disk_create(DiskParams::new("xbd", unit, 4096), Box::new(Bad)))
        .map(|disk| disk.expect("sound parameters"))
        .collect();
    bench.get("/");
    bench.exports.run_for(Duration::from_secs(200));
    let counters = geom.counters();
    let nodes = counters.geoms + counters.providers + counters.consumers;
    assert!(nodes >= 500, "{nodes}");
    let wanted = (1 << 20) + nodes * 1536;
    let mut taken = Vec::new();
    while dom.heap_room() > wanted {
        taken.extend(dom.alloc_page());
    }
    for (path, has_room) in [("/", true), ("/metrics", true), ("/geom.json", false)] {
        assert_eq!(bench.page.has_room(path), has_room, "{path}");
    }
    drop((taken, disks));
}
