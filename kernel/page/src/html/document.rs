//! The page around what changes.

use alloc::string::String;

use crate::html::live;
use crate::snapshot::Snapshot;
use crate::text::{Escaped, put};

/// What the page looks like, without the graph's part.
pub const STYLE: &str = include_str!("page.css");
/// What keeps it up to date.
pub const SCRIPT: &str = include_str!("page.js");

const COMMAND: &str = "\
<details class=\"card\" id=\"command\"><summary>Command</summary>\
<form><input name=\"token\" type=\"password\" placeholder=\"token\" autocomplete=\"off\" \
aria-label=\"token\"><input name=\"line\" placeholder=\"geom tree\" autocomplete=\"off\" \
spellcheck=\"false\" aria-label=\"command\"><button>Run</button></form><pre></pre></details>\n";

const FOOTER: &str = "\
<footer><a href=\"/status.json\">status.json</a> <a href=\"/metrics\">metrics</a> \
<a href=\"/geom.json\">geom.json</a> <a href=\"/geom.dot\">geom.dot</a> \
<a href=\"/geom.svg\">geom.svg</a> <a href=\"/log\">log</a></footer>\n";

/// The whole page.
#[must_use]
pub fn page(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(16 << 10);
    let name = Escaped(live::name(snapshot));
    put(
        &mut out,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{name} - Xenolith</title>\
             <link rel=\"icon\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/page.css\">\
             <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\
             <script src=\"/page.js\" defer></script></head>\n<body>\n<main id=\"live\">\n"
        ),
    );
    live::write(&mut out, snapshot);
    out.push_str("</main>\n");
    if snapshot.takes_commands {
        out.push_str(COMMAND);
    }
    out.push_str(FOOTER);
    out.push_str("</body></html>\n");
    out
}

/// The picture in a browser's tab: a stone in a larger one.
pub const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
<path d=\"M5 9 17 2l11 8 1 12-9 8-14-3-4-9z\" fill=\"#6b7688\"/>\
<path d=\"m12 12 6-3 6 4v7l-6 3-6-4z\" fill=\"#ff9d3c\"/></svg>\n";
