//! What only those want to see who look for something: log, events, grants, tasks.

use alloc::string::String;
use alloc::vec::Vec;

use exec::Level;

use crate::snapshot::Snapshot;
use crate::text::{Escaped, bytes, count, put};

/// The most rows of a table.
const ROWS: usize = 128;

/// The log's end.
pub fn log(out: &mut String, snapshot: &Snapshot) {
    out.push_str(
        "<section class=\"card\"><h2>Log <a href=\"/log\">all of it</a></h2><pre class=\"log\">",
    );
    for line in &snapshot.log {
        let class = match line.level {
            Level::Error => " class=\"bad\"",
            Level::Warn => " class=\"odd\"",
            Level::Info | Level::Debug => "",
        };
        let (at, part, text) = (line.at, Escaped(&line.part), Escaped(&line.text));
        put(
            out,
            format_args!("<span{class}><i>{at}</i> <b>{part}</b> {text}\n</span>"),
        );
    }
    out.push_str("</pre></section>\n");
}

/// Events, grants and tasks, folded.
pub fn details(out: &mut String, snapshot: &Snapshot) {
    let facts = &snapshot.facts;
    put(
        out,
        format_args!(
            "<details class=\"card\"><summary>Events <small>{} ports</small></summary>\
             <div class=\"wide\"><table><thead><tr><th class=\"n\">Port<th>Owner\
             <th class=\"n\">Events<th class=\"n\">Without work</tr></thead><tbody>",
            facts.ports.len()
        ),
    );
    for port in facts.ports.iter().take(ROWS) {
        put(
            out,
            format_args!(
                "<tr><td class=\"n\">{}<td>{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
                port.port,
                Escaped(&port.label),
                count(port.count),
                count(port.spurious)
            ),
        );
    }
    out.push_str("</tbody></table></div></details>\n");
    grants(out, snapshot);
    tasks(out, snapshot);
}

fn grants(out: &mut String, snapshot: &Snapshot) {
    let (grants, memory) = (&snapshot.facts.grants, &snapshot.facts.memory);
    put(
        out,
        format_args!(
            "<details class=\"card\"><summary>Grants and stack <small>{} granted, {} parked\
             </small></summary><p>{} pages are granted; {} are parked until a peer lets go of \
             them, {} were since the start. The table has {} entries of at most {}, {} are free. \
             Of {} of the run loop\u{2019}s stack, at most {} were used.</p></details>\n",
            grants.granted,
            grants.parked,
            count(grants.granted as u64),
            count(grants.parked as u64),
            count(grants.parked_ever),
            count(grants.entries as u64),
            count(grants.max_entries as u64),
            count(grants.free as u64),
            bytes(memory.stack_size as u64),
            bytes(memory.stack_used as u64),
        ),
    );
}

/// The tasks, those with the same name together.
fn tasks(out: &mut String, snapshot: &Snapshot) {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for task in &snapshot.tasks {
        match names.iter_mut().find(|(name, _)| *name == task.name) {
            Some((_, many)) => *many += 1,
            None => names.push((task.name, 1)),
        }
    }
    put(
        out,
        format_args!(
            "<details class=\"card\"><summary>Tasks <small>{}, {} polls</small></summary><p>",
            snapshot.tasks.len(),
            count(snapshot.polls)
        ),
    );
    for (name, many) in names {
        let name = Escaped(name);
        match many {
            1 => put(out, format_args!("<code>{name}</code> ")),
            _ => put(out, format_args!("<code>{name} \u{d7}{many}</code> ")),
        }
    }
    out.push_str("</p></details>\n");
}
