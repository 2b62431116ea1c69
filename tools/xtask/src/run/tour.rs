//! What is shown when nobody sits at a terminal: a disk is read, pulled, and comes back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Disk, Guest, Nest};

use super::demo::{ADDRESS, GUEST, config};

/// How long any step may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The partition that is summed: its place is known, so dom0 can sum the same bytes.
const PARTITION: &str = "xbd0p1";
/// Its offset and its length in bytes, as `demo::disk` made it.
const PLACE: (u64, u64) = (1 << 20, 4 << 20);

/// Shows the tour; every claim in it is checked, and a wrong one is an error.
pub(super) fn show(nest: &Nest, disk: &Disk) -> Result<()> {
    let mut guest = nest.create_guest(GUEST, &config(disk))?;
    println!("\ndom0# xl create demo.cfg");
    print!("{}", plain(&guest.wait_for("xenolith: ready", LIMIT)?));
    println!(
        "{}",
        plain(&guest.wait_for("xenolith> ", LIMIT)?).trim_end_matches("xenolith> ")
    );

    say(&mut guest, "geom tree")?;
    equal_sums(nest, &mut guest, disk)?;

    println!("\ndom0# xl block-detach {GUEST} xvda");
    nest.check(&format!("xl block-detach {GUEST} xvda"))?;
    let gone = "geom: xbd0 gone";
    let log = guest.wait_for(gone, LIMIT)?;
    ensure!(
        log.matches(gone).count() == 1,
        "gone came more than once:\n{log}"
    );
    print!("{}", plain(&log));
    println!();
    let list = say(&mut guest, "disk list")?;
    ensure!(
        list.contains("created: 1, gone: 1, live: 0"),
        "the disk is not gone:\n{list}"
    );

    let attach = format!("xl block-attach {GUEST} '{}'", disk.xl("xvda", "rw"));
    println!("\ndom0# {attach}");
    nest.check(&attach)?;
    print!("{}", plain(&guest.wait_for("2 partitions", LIMIT)?));
    println!();
    equal_sums(nest, &mut guest, disk)?;

    show_page(nest)?;
    println!("\nxenolith> poweroff");
    guest.send("poweroff\r")?;
    guest.wait_shutdown(LIMIT)?;
    println!("\nThe tour is over. `cargo xtask run` at a terminal gives you the console.");
    Ok(())
}

/// What the page says of the graph that the tour went through.
fn show_page(nest: &Nest) -> Result<()> {
    let curl = format!("curl -sf --max-time 30 http://{ADDRESS}/geom.dot");
    println!("\ndom0# {curl}");
    let graph = nest.check(&curl)?;
    print!("{graph}");
    ensure!(graph.contains(PARTITION), "{PARTITION} is not in the graph");
    Ok(())
}

/// The partition's sum by Xenolith, beside dom0's of the same bytes.
fn equal_sums(nest: &Nest, guest: &mut Guest<'_>, disk: &Disk) -> Result<()> {
    let answer = say(guest, &format!("sum {PARTITION}"))?;
    let ours = answer
        .split_whitespace()
        .next()
        .context("no sum was printed")?;
    let (offset, length) = PLACE;
    println!(
        "\ndom0# dd if={} bs=1M skip=1 count=4 | sha256sum",
        disk.path()
    );
    let theirs = disk.sha256(nest, offset, length)?;
    println!("{theirs}  -");
    ensure!(ours == theirs, "the sums differ");
    Ok(())
}

/// Types a line at the shell and prints what it answers.
fn say(guest: &mut Guest<'_>, line: &str) -> Result<String> {
    println!("\nxenolith> {line}");
    let answer = guest.command_for(line, LIMIT)?;
    println!("{}", plain(&answer).trim_end());
    Ok(answer)
}

/// Console text as a terminal would leave it, for a log file: a line that was erased to make room
/// for a log line is left out.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {}
            '\x1b' => {
                // A control sequence ends with a letter; K erases the line.
                if characters.find(char::is_ascii_alphabetic) == Some('K') {
                    let line = plain.rfind('\n').map_or(0, |end| end + 1);
                    plain.truncate(line);
                }
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn an_erased_line_is_left_out() {
        assert_eq!(plain("a\r\nxenolith> \r\x1b[Kb\r\n"), "a\nb\n");
        assert_eq!(plain("xenolith> \x1b[12;3Hc"), "xenolith> c");
    }
}
