//! `geom tree|list|dot|json` and `disk list`.

use alloc::string::String;

use geom::Geom;
use geom::disk::DiskInfo;

use crate::output::Output;
use crate::request::GraphForm;

pub(super) fn graph(geom: &Geom, form: GraphForm, out: &Output) {
    let text = match form {
        GraphForm::Tree => geom.tree(),
        GraphForm::List => geom.list(),
        GraphForm::Dot => geom.dot(),
        GraphForm::Json => geom.json(),
    };
    out.write(&text);
    if !text.is_empty() && !text.ends_with('\n') {
        out.write("\n");
    }
}

/// Prints a line a disk, and last how many there were: created = gone + live, always.
pub(super) fn list(geom: &Geom, out: &Output) {
    let disks = geom.disks();
    if !disks.is_empty() {
        out.write("name   state            bytes  sector      max io  in flight\n");
    }
    for disk in &disks {
        let DiskInfo {
            name,
            media_size,
            sector_size,
            limits,
            in_flight,
            ..
        } = disk;
        // Padding applies to text, not to what writes itself piecemeal.
        let state = alloc::format!("{}", disk.state);
        let max_io = limits.max_io;
        out.line(format_args!(
            "{name:<6} {state:<8} {media_size:>13} {sector_size:>7} {max_io:>11} {in_flight:>10}{}",
            marks(disk)
        ));
    }
    let counters = geom.counters();
    let (created, gone) = (counters.disks_created, counters.disks_gone);
    let live = counters.disks_live;
    out.line(format_args!(
        "created: {created}, gone: {gone}, live: {live}"
    ));
}

/// What is special about a disk.
fn marks(disk: &DiskInfo) -> String {
    let marks = [
        (disk.read_only, "  read-only"),
        (disk.limits.can_flush, "  flush"),
        (disk.limits.can_delete, "  delete"),
        (disk.limits.can_erase, "  erase"),
    ];
    marks
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, mark)| *mark)
        .collect()
}
