//! `mdconfig`, `gnop` and `gzero`.

use alloc::format;
use alloc::string::{String, ToString};

use geom::Geom;
use geom::class::nop::Fault;

use crate::output::Output;
use crate::request::Request;

/// Does what a request about disks that are made on request asks for.
pub(super) fn run(geom: &Geom, request: Request, out: &Output) -> Result<(), String> {
    let name = match request {
        Request::MdAttach(params) => geom.md_create(&params).map_err(|error| failed(&error))?,
        Request::NopCreate(below, params) => geom
            .nop_create(&below, &params)
            .map_err(|error| failed(&error))?,
        Request::ZeroCreate(size) => geom.zero_create(size).map_err(|error| failed(&error))?,
        Request::MadeDestroy(class, name, force) => {
            return geom
                .destroy(class, &name, force)
                .map_err(|error| failed(&error));
        }
        Request::NopConfigure(name, faults) => {
            return geom
                .nop_configure(&name, &faults)
                .map_err(|error| failed(&error));
        }
        Request::NopReset(name) => return geom.nop_reset(&name).map_err(|error| failed(&error)),
        Request::MdList => {
            list_mds(geom, out);
            return Ok(());
        }
        Request::NopList => {
            list_nops(geom, out);
            return Ok(());
        }
        _ => return Ok(()),
    };
    out.line(format_args!("{name}"));
    Ok(())
}

fn failed(error: &dyn core::fmt::Display) -> String {
    error.to_string()
}

fn list_mds(geom: &Geom, out: &Output) {
    let mds = geom.mds();
    if !mds.is_empty() {
        out.write("name           bytes           used  sector  label\n");
    }
    for md in mds {
        let (name, size, used, sector) = (&md.name, md.size, md.used, md.sector_size);
        let label = md.label.escape_debug();
        let reserved = if md.reserved { "  reserved" } else { "" };
        out.line(format_args!(
            "{name:<6} {size:>13} {used:>14} {sector:>7}  {label}{reserved}"
        ));
    }
}

fn list_nops(geom: &Geom, out: &Output) {
    for nop in geom.nops() {
        let faults = nop.faults.iter().map(Fault::to_string);
        let faults = faults.reduce(|all, fault| format!("{all}, {fault}"));
        let faults = faults.unwrap_or_else(|| "nothing goes wrong".into());
        out.line(format_args!("{}: {faults}", nop.name));
        let counts = nop.counts;
        out.line(format_args!(
            "  reads {} ({} bytes)  writes {} ({} bytes)  deletes {}  flushes {}",
            counts.reads,
            counts.read_bytes,
            counts.writes,
            counts.written_bytes,
            counts.deletes,
            counts.flushes
        ));
        out.line(format_args!(
            "  failed {}  delayed {}",
            counts.failed, counts.delayed
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use geom::{Access, Memory, PageSource, Params};

    use super::*;
    use crate::request::parse;

    /// Pages on the heap, without end.
    struct Heap;

    struct Page(RefCell<[u8; 4096]>);

    impl PageSource for Heap {
        fn page(&self) -> Option<Rc<dyn Memory>> {
            Some(Rc::new(Page(RefCell::new([0; 4096]))))
        }

        fn page_size(&self) -> usize {
            4096
        }

        fn free_bytes(&self) -> u64 {
            1 << 20
        }
    }

    impl Memory for Page {
        fn len(&self) -> usize {
            4096
        }

        fn copy_in(&self, at: usize, from: &[u8]) {
            self.0.borrow_mut()[at..at + from.len()].copy_from_slice(from);
        }

        fn copy_out(&self, at: usize, to: &mut [u8]) {
            to.copy_from_slice(&self.0.borrow()[at..at + to.len()]);
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    /// What a line prints, or its error.
    fn say(geom: &Geom, line: &str) -> String {
        let out = Output::new();
        let request = parse(line).unwrap().unwrap();
        let result = run(geom, request, &out);
        geom.poll(Duration::ZERO);
        match result {
            Ok(()) => out.try_take(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn disks_are_made_listed_and_destroyed() {
        let geom = Geom::new(Params::default());
        let none = "error: there is no memory for memory disks here";
        assert_eq!(say(&geom, "mdconfig -a -s 1M"), none);
        geom.set_page_source(Rc::new(Heap));
        assert_eq!(say(&geom, "mdconfig -l"), "");
        assert_eq!(say(&geom, "mdconfig -a -s 64k -L ram"), "md0\n");
        assert_eq!(
            say(&geom, "mdconfig -a -s 2M"),
            "error: 2097152 bytes are wanted and 1048576 are free"
        );
        assert_eq!(say(&geom, "mdconfig -a -s 8k -S 4k -o reserve"), "md1\n");
        assert_eq!(
            say(&geom, "mdconfig -l"),
            "name           bytes           used  sector  label\n\
             md0            65536              0     512  ram\n\
             md1             8192           8192    4096    reserved\n"
        );
        assert_eq!(say(&geom, "gnop create -r 50 -R 3 ram"), "md0.nop\n");
        let held = geom.open_as("md0.nop", Access::READ, "a test").unwrap();
        assert_eq!(
            say(&geom, "gnop destroy md0.nop"),
            "error: md0.nop is held by a test"
        );
        assert_eq!(
            say(&geom, "mdconfig -d -u 0"),
            "error: md0 is held by NOP md0.nop"
        );
        drop(held);
        assert_eq!(say(&geom, "gnop configure md0.nop"), "");
        assert_eq!(say(&geom, "gnop reset md0.nop"), "");
        let nop = "md0.nop: nothing goes wrong\n  \
                   reads 0 (0 bytes)  writes 0 (0 bytes)  deletes 0  flushes 0\n  \
                   failed 0  delayed 0\n";
        assert_eq!(say(&geom, "gnop list"), nop);
        assert_eq!(say(&geom, "gnop destroy -f md0.nop"), "");
        assert_eq!(say(&geom, "mdconfig -d -u md0"), "");
        assert_eq!(
            say(&geom, "mdconfig -d -u 0"),
            "error: there is no MD disk md0"
        );
        assert_eq!(say(&geom, "gzero create 1M"), "zero0\n");
        assert_eq!(say(&geom, "gzero destroy zero0"), "");
        assert_eq!(say(&geom, "gnop list"), "");
        assert_eq!(say(&geom, "mdconfig -d -u 1 -o force"), "");
        assert_eq!(geom.counters().disks_live, 0);
    }
}
