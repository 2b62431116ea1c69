//! What the administrator asks of a domain, how it ends, and what it costs while it does nothing.

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::{Guest, PROMPT, Reason};

use crate::image::symbolize;

use super::domain::{SECOND, config, number, start, start_config};

/// `xl shutdown` and `xl reboot` are acknowledged and done; the features are published.
pub(super) fn shutdown_and_reboot(nest: &Nest) -> Result<()> {
    let text = format!("{}on_poweroff = \"preserve\"\n", config(&[]));
    let mut guest = start_config(nest, "asked", &text)?;
    let id = guest.id()?;
    let control = |node: &str| format!("/local/domain/{id}/control/{node}");
    let features = nest.check(&format!(
        "xenstore-read {} {} {}",
        control("feature-poweroff"),
        control("feature-reboot"),
        control("feature-suspend")
    ))?;
    ensure!(
        features == "1\n1\n1\n",
        "poweroff, reboot, suspend: {features:?}"
    );

    nest.check("xl reboot asked")?;
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Reboot, "xl reboot: {reason:?}");
    guest.reconnect();
    guest.wait_for("xenolith: ready", 30 * SECOND)?;
    guest.wait_for(PROMPT, 10 * SECOND)?;
    let second = guest.id()?;
    ensure!(second != id, "a new domain");

    nest.check("xl shutdown asked")?;
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Poweroff, "xl shutdown: {reason:?}");
    let node = format!("/local/domain/{second}/control/shutdown");
    let left = nest.check(&format!("xenstore-read {node}"))?;
    ensure!(
        left.trim().is_empty(),
        "acknowledged before it acted: {left:?}"
    );
    guest.destroy()
}

/// `xl sysrq` is heard; what is not known is acknowledged and named, and changes nothing.
pub(super) fn sysrq_and_unknown_words(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, "sysrq", &[])?;
    let id = guest.id()?;
    for (node, word, line) in [
        ("shutdown", "fly", "control/shutdown: \"fly\" is not known"),
        ("sysrq", "q", "control/sysrq: \"q\" is none of"),
        ("sysrq", "t", "task shell is"),
    ] {
        let path = format!("/local/domain/{id}/control/{node}");
        nest.check(&format!("xenstore-write {path} {word}"))?;
        guest.wait_for(line, 10 * SECOND)?;
        let left = nest.check(&format!("xenstore-read {path}"))?;
        ensure!(left.trim().is_empty(), "{word} is acknowledged: {left:?}");
    }
    ensure!(guest.command("uptime")?.starts_with("up "), "it goes on");
    nest.check("xl sysrq sysrq o")?;
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Poweroff, "xl sysrq o: {reason:?}");
    guest.wait_gone(20 * SECOND)
}

/// A domain that crashes says where, and xl keeps it if it is told to.
pub(super) fn a_crash_has_an_epitaph(nest: &Nest) -> Result<()> {
    let text = format!("{}on_crash = \"preserve\"\n", config(&[]));
    let mut guest = start_config(nest, "crashes", &text)?;
    guest.send("crash\r")?;
    let epitaph = epitaph(&mut guest)?;
    ensure!(epitaph.contains("cause: "), "{epitaph}");
    let named = epitaph
        .lines()
        .filter(|line| line.starts_with('#') && line.contains("::") && line.contains("+0x"));
    ensure!(named.count() >= 3, "functions by name:\n{epitaph}");
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    let state = nest.check("xl list crashes | tail -n 1 | awk '{print $5}'")?;
    ensure!(
        state.trim().ends_with('c') || state.contains("c-"),
        "xl list says {state}"
    );
    guest.destroy()
}

/// A stack overflow leaves no room to say anything: Xen ends the domain, and its log says where, as
/// `kernel/machine/src/stack.rs` has it.
pub(super) fn a_stack_overflow_is_in_xens_log(nest: &Nest) -> Result<()> {
    let text = format!("{}on_crash = \"preserve\"\n", config(&[]));
    let mut guest = start_config(nest, "overflows", &text)?;
    let id = guest.id()?;
    guest.send("crash stack\r")?;
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    let console = guest.console()?;
    ensure!(!console.contains("epitaph"), "{console}");
    let log = nest.check("xl dmesg")?;
    let end = format!("Domain {id} (vcpu#0) crashed on cpu#");
    let (_, log) = log
        .rsplit_once(&end)
        .with_context(|| format!("no {end:?} in: {log}"))?;
    ensure!(
        log.contains("Fault while accessing guest memory"),
        "the stack can be read: {log}"
    );
    let said = symbolize::of_image(log)?;
    for text in ["shell::command::exhaust::deeper", "it has overflowed"] {
        ensure!(said.contains(text), "no {text:?} in {said:?}, of: {log}");
    }
    guest.destroy()
}

/// A domain without memory left says how much it wanted, and who did.
pub(super) fn a_failed_allocation_has_an_epitaph(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, "exhausted", &[])?;
    guest.send("crash memory\r")?;
    let epitaph = epitaph(&mut guest)?;
    for text in [
        "memory allocation of 65536 bytes failed",
        "shell::command::exhaust::all_of+0x",
    ] {
        ensure!(epitaph.contains(text), "no {text:?}:\n{epitaph}");
    }
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    guest.wait_gone(20 * SECOND)
}

/// An administrator's non-maskable interrupt shows where a domain is, and ends it.
pub(super) fn a_trigger_has_an_epitaph(nest: &Nest) -> Result<()> {
    let mut guest = start(nest, "triggered", &[])?;
    nest.check("xl trigger triggered nmi")?;
    let epitaph = epitaph(&mut guest)?;
    for text in ["non-maskable interrupt", "rip: 0xffffffff80", "#0 "] {
        ensure!(epitaph.contains(text), "no {text:?}:\n{epitaph}");
    }
    let reason = guest.wait_shutdown(20 * SECOND)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    guest.wait_gone(20 * SECOND)
}

/// What a domain says when it crashes.
fn epitaph(guest: &mut Guest<'_>) -> Result<String> {
    let said = guest.wait_for("--- end of epitaph ---", 20 * SECOND)?;
    let (_, epitaph) = said
        .split_once("--- xenolith epitaph ---")
        .with_context(|| said.clone())?;
    Ok(epitaph.to_owned())
}

/// Idle for ten seconds, it uses less than a hundredth of them.
pub(super) fn idle_costs_nothing(nest: &Nest) -> Result<()> {
    let guest = start(nest, "idle", &[])?;
    let id = guest.id()?;
    // In nanoseconds: what xl shows are tenths of a second.
    let line = format!(
        "export PYTHONPATH=$(ls -d /usr/lib/xen-*/lib/python | head -n 1); sleep 1; \
         python3 -c 'import time, xen.lowlevel.xc as xc\n\
         used = lambda: xc.xc().domain_getinfo({id}, 1)[0][\"cpu_time\"]\n\
         before, start = used(), time.monotonic_ns()\n\
         time.sleep(10)\n\
         after, end = used(), time.monotonic_ns()\n\
         print(\"used\", after - before, \"of\", end - start, \"booted in\", before)'"
    );
    let said = nest.check(&line)?;
    let (used, of) = (number(&said, "used")?, number(&said, "of")?);
    ensure!(
        number(&said, "booted in")? > 0,
        "Xen counts its time: {said}"
    );
    ensure!(of >= 10_000_000_000 && used * 100 < of, "{said}");
    guest.destroy()
}
