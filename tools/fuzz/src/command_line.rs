//! Harness for the kernel command line and for lines typed at the shell.
//!
//! Oracle, for every text:
//!
//! * it is cut into the words that a plain state machine over its characters finds;
//! * each word that sets no key is named once, in order; a key takes its last good value, read here
//!   by other means; every repetition, bad value and open quote is told, nothing else;
//! * a command with every character of its words quoted means the same command;
//! * cutting a line at `;` and its pieces into words gives the words of the whole line;
//! * no message holds a control character, so nothing from outside reaches a terminal raw.

use core::time::Duration;
use shell::request;
use shell::settings::{Oddity, Settings};
use shell::{table, words};

/// Xen hands over no more than this (`MAX_GUEST_CMDLINE` in xen.h, without the NUL).
const LINE_MAX: usize = 1023;

/// Runs one input: the text itself, whatever is not UTF-8 replaced.
///
/// # Panics
/// If the oracle is broken.
pub fn command_line(data: &[u8]) {
    let data = &data[..data.len().min(LINE_MAX)];
    let text = &*String::from_utf8_lossy(data);
    let cut = cut(text);
    assert_eq!(
        words::words(text),
        (cut.words.clone(), cut.open),
        "{text:?}"
    );
    settings(text, &cut);
    request(text, &cut);
    if cut.open.is_none() {
        let each = words::commands(text).flat_map(|command| words::words(command).0);
        let whole = words::words(&cut.without_semicolons).0;
        assert_eq!(each.collect::<Vec<_>>(), whole, "{text:?}");
    }
}

/// A text as the state machine reads it.
#[derive(Default)]
struct Cut {
    words: Vec<String>,
    open: Option<char>,
    /// The text with a blank for each `;` that is not quoted.
    without_semicolons: String,
}

fn cut(text: &str) -> Cut {
    let mut cut = Cut::default();
    let mut word: Option<String> = None;
    for c in text.chars() {
        let quote = c == '"' || c == '\'';
        let split = cut.open.is_none() && c == ';';
        cut.without_semicolons.push(if split { ' ' } else { c });
        if cut.open == Some(c) {
            cut.open = None;
        } else if cut.open.is_none() && quote {
            cut.open = Some(c);
            word.get_or_insert_default();
        } else if cut.open.is_none() && (c.is_whitespace() || c == '\0') {
            cut.words.extend(word.take());
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    cut.words.extend(word);
    cut
}

fn printable(message: impl ToString) {
    let message = message.to_string();
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

fn settings(text: &str, cut: &Cut) {
    let (settings, oddities) = Settings::parse(text);
    oddities.iter().for_each(printable);
    let mut expected = Settings::default();
    let mut rest = oddities.into_iter();
    let mut unknown = Vec::new();
    let mut seen = Vec::new();
    for word in &cut.words {
        let known = word
            .split_once('=')
            .filter(|(key, _)| table::keys().any(|k| k.0.name == *key));
        let Some((name, value)) = known else {
            unknown.push(word.clone());
            continue;
        };
        if seen.contains(&name) {
            assert!(
                matches!(rest.next(), Some(Oddity::Repeated(key)) if key == name),
                "{text:?}"
            );
        }
        seen.push(name);
        if !take(&mut expected, name, value) {
            let told = rest.next();
            let right = matches!(&told, Some(Oddity::BadValue { key, value: told, .. })
                if *key == name && told == value);
            assert!(right, "{text:?}: {told:?}");
        }
    }
    let told = (!unknown.is_empty()).then_some(Oddity::Unknown(unknown));
    let last: Vec<Oddity> = told
        .into_iter()
        .chain(cut.open.map(Oddity::OpenQuote))
        .collect();
    assert_eq!(rest.collect::<Vec<_>>(), last, "{text:?}");
    assert_eq!(settings, expected, "{text:?}");
}

/// Sets a key as its documentation says; `false` if the value is none.
fn take(settings: &mut Settings, name: &str, value: &str) -> bool {
    let digits = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    let trimmed = value.trim_start_matches('0');
    let seconds = value.parse::<u64>().ok();
    let fits = digits && !trimmed.is_empty() && trimmed.len() <= 10;
    let seconds = seconds
        .filter(|s| fits && *s < 1 << 32)
        .map(Duration::from_secs);
    match name {
        "run" => settings.run = Some(value.to_string()),
        "watchdog" if seconds.is_some() => settings.watchdog = seconds,
        "taste_timeout" if seconds.is_some() => settings.taste_timeout = seconds,
        "loglevel" => match value {
            "error" => settings.loglevel = exec::Level::Error,
            "warn" => settings.loglevel = exec::Level::Warn,
            "info" => settings.loglevel = exec::Level::Info,
            "debug" => settings.loglevel = exec::Level::Debug,
            _ => return false,
        },
        "watchdog" | "taste_timeout" => return false,
        other => panic!("the key {other} is not read here yet: add it to this harness"),
    }
    true
}

fn request(text: &str, cut: &Cut) {
    let read = request::parse(text);
    if let Err(error) = &read {
        printable(error);
    }
    let open = matches!(read, Err(request::ParseError::OpenQuote(_)));
    assert_eq!(open, cut.open.is_some(), "{text:?}");
    if open {
        return;
    }
    assert_eq!(read == Ok(None), cut.words.is_empty(), "{text:?}");
    let quoted: Vec<String> = cut.words.iter().map(|word| quote(word)).collect();
    assert_eq!(request::parse(&quoted.join("\t ")), read, "{text:?}");
}

/// A word with each of its characters quoted by itself.
fn quote(word: &str) -> String {
    let each = |c: char| {
        if c == '"' {
            format!("'{c}'")
        } else {
            format!("\"{c}\"")
        }
    };
    if word.is_empty() {
        String::from("''")
    } else {
        word.chars().map(each).collect()
    }
}
