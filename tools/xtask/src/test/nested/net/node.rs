//! A Xenolith domain on dom0's network.

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::{Guest, PROMPT};
use lab::network::BRIDGE;

use crate::test::nested::domain::{SECOND, wait_until};

/// Its Ethernet address.
pub(super) const MAC: &str = "00:16:3e:00:00:02";
/// The address that it is given on the command line, where it does not ask for one.
pub(super) const ADDRESS: &str = "10.0.0.2";
/// Its memory.
pub(super) const MEMORY_MIB: u32 = 192;
/// The address as a word of the command line.
pub(super) const STATIC: &str = "ip=10.0.0.2/24";
/// Where it serves NBD.
pub(super) const NBD: &str = "nbd://10.0.0.2";

/// Its interface, in xl's words; `more` may begin with a comma. Xen's own script for interfaces
/// takes seconds here.
pub(super) fn vif(more: &str) -> String {
    format!("mac={MAC},bridge={BRIDGE},script=/run/lab/vif{more}")
}

/// A config with this interface.
pub(super) fn config(vif: &str, words: &str) -> String {
    format!(
        "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = {MEMORY_MIB}\nvif = [\"{vif}\"]\n\
         cmdline = '{words}'\n"
    )
}

/// Starts a domain with an address of its own and these words on its command line; waits until it
/// answers dom0.
pub(super) fn start<'nest>(nest: &'nest Nest, name: &str, words: &str) -> Result<Guest<'nest>> {
    nest.network()?;
    let config = config(&vif(""), &format!("{STATIC} {words}"));
    let mut guest = nest.create_guest(name, &config)?;
    guest.wait_for(PROMPT, 40 * SECOND)?;
    wait_for_address(&mut guest, ADDRESS)?;
    answers(nest, ADDRESS)?;
    Ok(guest)
}

/// Waits until the domain says that it has this address.
pub(super) fn wait_for_address(guest: &mut Guest<'_>, address: &str) -> Result<()> {
    wait_until(guest, "ifconfig", 40 * SECOND, |said| {
        said.contains(&format!("address {address}/")).then_some(())
    })
}

/// Waits until an address answers dom0: the bridge learns of a new interface a moment late.
pub(super) fn answers(nest: &Nest, address: &str) -> Result<()> {
    let line = format!("for i in {{1..20}}; do ping -q -c 1 -W 1 {address} && exit; done; exit 1");
    nest.check(&line).context("it does not answer dom0")?;
    Ok(())
}

/// What `ping` in dom0 says, which must be that nothing came twice or was changed. That nothing was
/// lost is dom0's own count: `ping` waits for its last answers no longer than twice the longest
/// round trip so far (iputils, `__schedule_exit`), and on a busy machine one may come later.
pub(super) fn ping(nest: &Nest, words: &str, count: u32) -> Result<String> {
    let line = format!("ping -n -q -c {count} -W 10 {words}");
    let counters = "nstat -asz IcmpInEchoReps Icmp6InEchoReplies";
    let output = nest.run_for(
        &format!(
            "answers() {{ {counters} | awk '{{ sum += $2 }} END {{ print sum }}'; }}; \
             before=$(answers); {line}; \
             for i in {{1..100}}; do \
               came=$(( $(answers) - before )); [ $came -lt {count} ] || break; sleep 0.1; \
             done; echo \"$came answers\""
        ),
        300 * SECOND,
    )?;
    let said = format!("{line}\n{output}");
    for all in [
        format!("{count} packets transmitted"),
        format!("\n{count} answers"),
    ] {
        ensure!(output.success() && said.contains(&all), "{said}");
    }
    for word in ["duplicates", "errors", "wrong data", "corrupted"] {
        ensure!(!said.contains(word), "{said}");
    }
    Ok(output.stdout)
}
