//! What the domain's own parts report about themselves.

use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

use balloon::{Standing, plan};
use exec::TaskUse;
use hv::{Instant, MemoryUse, PAGE_SIZE};
use pv::{GrantUse, PortUse};

use crate::date;

// Writing to a String cannot fail, so the results of `writeln!` say nothing here.

pub(super) fn uptime(now: Instant, wall_clock: Duration) -> String {
    let since = now.since_start();
    let (seconds, milliseconds) = (since.as_secs(), since.subsec_millis());
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let mut text = String::from("up ");
    if days > 0 {
        let _ = write!(text, "{days} days ");
    }
    let seconds = seconds % 60;
    let date = date::utc(wall_clock);
    let _ = writeln!(
        text,
        "{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}, {date}"
    );
    text
}

pub(super) fn memory(usage: MemoryUse) -> String {
    let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
    let MemoryUse {
        total,
        free,
        heap_size,
        heap_used,
        stack_size,
        stack_used,
    } = usage;
    let mut text = String::new();
    let _ = writeln!(text, "memory: {} KiB, {} KiB free", kib(total), kib(free));
    let (size, used) = (heap_size.div_ceil(1024), heap_used.div_ceil(1024));
    let _ = writeln!(text, "heap: {size} KiB, {used} KiB used");
    if stack_size > 0 {
        let (size, used) = (stack_size.div_ceil(1024), stack_used.div_ceil(1024));
        let _ = writeln!(text, "stack: {size} KiB, at most {used} KiB used so far");
    }
    text
}

pub(super) fn balloon(usage: &MemoryUse, standing: &Standing) -> String {
    let kib = |pages: usize| pages * (PAGE_SIZE / 1024);
    let Standing {
        target,
        static_max,
        room,
        given,
        got,
    } = standing;
    let mut text = String::new();
    let Some(target) = target else {
        return text;
    };
    let _ = write!(text, "target: {target} KiB, static-max: ");
    let _ = match static_max {
        Some(most) => write!(text, "{most} KiB"),
        None => write!(text, "unknown"),
    };
    let (room, floor) = (kib(*room), kib(plan::floor(usage)));
    let _ = writeln!(text, ", room for {room} KiB, floor: {floor} KiB");
    let _ = writeln!(text, "pages given to Xen: {given}, got from it: {got}");
    text
}

pub(super) fn events(ports: &[PortUse]) -> String {
    let mut text = String::from(" port      events    spurious  owner\n");
    for PortUse {
        port,
        label,
        count,
        spurious,
    } in ports
    {
        let _ = writeln!(text, "{:>5} {count:>11} {spurious:>11}  {label}", port.0);
    }
    text
}

pub(super) fn grants(usage: GrantUse) -> String {
    let GrantUse {
        granted,
        parked,
        parked_ever,
        free,
        entries,
        max_entries,
    } = usage;
    let mut text = String::new();
    let _ = writeln!(text, "granted: {granted}");
    let _ = writeln!(text, "parked: {parked} ({parked_ever} since the start)");
    let _ = writeln!(
        text,
        "entries: {entries} of at most {max_entries}, {free} free"
    );
    text
}

pub(super) fn tasks(tasks: &[TaskUse]) -> String {
    let mut text = String::new();
    for task in tasks {
        let state = if task.ready { "ready" } else { "waits" };
        let _ = writeln!(text, "{state}  {}", task.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use hv::Port;

    use super::*;

    #[test]
    fn uptime_as_it_is_printed() {
        let date = Duration::from_secs(1_234_567_890);
        assert_eq!(
            uptime(Instant(1_234_567_890), date),
            "up 00:00:01.234, 2009-02-13 23:31:30 UTC\n"
        );
        let later = Instant(93_784_005_000_000);
        assert_eq!(
            uptime(later, date),
            "up 1 days 02:03:04.005, 2009-02-13 23:31:30 UTC\n"
        );
    }

    #[test]
    fn memory_as_it_is_printed() {
        let usage = MemoryUse {
            total: 2048,
            free: 1500,
            heap_size: 1 << 20,
            heap_used: 1025,
            stack_size: 0,
            stack_used: 0,
        };
        let expected = "memory: 8192 KiB, 6000 KiB free\nheap: 1024 KiB, 2 KiB used\n";
        assert_eq!(memory(usage), expected);
        let usage = MemoryUse {
            stack_size: 65536,
            stack_used: 9000,
            ..usage
        };
        let stack = "stack: 64 KiB, at most 9 KiB used so far\n";
        assert_eq!(memory(usage), format!("{expected}{stack}"));
    }

    #[test]
    fn the_balloon_as_it_is_printed() {
        let usage = MemoryUse {
            total: 4096,
            free: 3384,
            ..MemoryUse::default()
        };
        assert_eq!(
            balloon(&usage, &Standing::default()),
            "",
            "nothing is followed"
        );
        let standing = Standing {
            target: Some(16_384),
            static_max: Some(262_144),
            room: 65_792,
            given: 61_440,
            got: 49_152,
        };
        let expected = concat!(
            "target: 16384 KiB, static-max: 262144 KiB, room for 263168 KiB, floor: 5596 KiB\n",
            "pages given to Xen: 61440, got from it: 49152\n",
        );
        assert_eq!(balloon(&usage, &standing), expected);
        let unknown = Standing {
            static_max: None,
            ..standing
        };
        assert!(balloon(&usage, &unknown).contains("static-max: unknown, room"));
    }

    #[test]
    fn events_as_they_are_printed() {
        let port = |port, label: &str, count, spurious| PortUse {
            port: Port(port),
            label: label.into(),
            count,
            spurious,
        };
        let ports = [port(1, "xenstore", 123, 0), port(12, "xbd0", 1_000_000, 7)];
        let expected = concat!(
            " port      events    spurious  owner\n",
            "    1         123           0  xenstore\n",
            "   12     1000000           7  xbd0\n",
        );
        assert_eq!(events(&ports), expected);
    }

    #[test]
    fn grants_as_they_are_printed() {
        let usage = GrantUse {
            granted: 33,
            parked: 2,
            parked_ever: 5,
            free: 469,
            entries: 512,
            max_entries: 16384,
        };
        let expected = concat!(
            "granted: 33\n",
            "parked: 2 (5 since the start)\n",
            "entries: 512 of at most 16384, 469 free\n",
        );
        assert_eq!(grants(usage), expected);
    }

    #[test]
    fn tasks_as_they_are_printed() {
        let task = |name, ready| TaskUse { name, ready };
        let expected = "ready  shell\nwaits  xenstore\n";
        assert_eq!(
            tasks(&[task("shell", true), task("xenstore", false)]),
            expected
        );
    }
}
