//! One line of the text format.

use std::iter::Peekable;
use std::str::Chars;

use anyhow::{Context, Result, bail, ensure};

use super::{Labels, Sample};

/// What a line says.
#[derive(Debug)]
pub(super) enum Line {
    Help { name: String },
    Kind { name: String, kind: String },
    Sample(Sample),
    Comment,
}

impl Line {
    /// The name it is about.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Help { name } | Self::Kind { name, .. } => Some(name),
            Self::Sample(sample) => Some(&sample.name),
            Self::Comment => None,
        }
    }
}

/// Reads a line, without its end.
pub(super) fn parse(text: &str) -> Result<Line> {
    ensure!(!text.is_empty(), "an empty line");
    ensure!(!text.contains(char::is_control), "a control character");
    let Some(rest) = text.strip_prefix('#') else {
        return sample(text).map(Line::Sample);
    };
    let mut words = rest.splitn(4, ' ');
    ensure!(words.next() == Some(""), "no blank after #");
    let what = words.next();
    if !matches!(what, Some("HELP" | "TYPE")) {
        return Ok(Line::Comment);
    }
    let name = words.next().context("no name")?.to_owned();
    ensure!(is_name(&name, true), "name {name:?}");
    let rest = words.next().context("nothing behind the name")?;
    if what == Some("TYPE") {
        let kind = rest.to_owned();
        return Ok(Line::Kind { name, kind });
    }
    ensure!(!rest.trim().is_empty(), "no help");
    escapes(rest, "\\n")?;
    Ok(Line::Help { name })
}

fn sample(text: &str) -> Result<Sample> {
    let end = text.find(['{', ' ']).context("no value")?;
    let (name, rest) = text.split_at(end);
    ensure!(is_name(name, true), "name {name:?}");
    let mut labels = Labels::new();
    let mut rest = rest.chars().peekable();
    if rest.next_if_eq(&'{').is_some() {
        while rest.next_if_eq(&'}').is_none() {
            let (name, value) = label(&mut rest)?;
            let before = labels.insert(name.clone(), value);
            ensure!(before.is_none(), "label {name} twice");
        }
    }
    ensure!(rest.next() == Some(' '), "no blank before the value");
    let rest: String = rest.collect();
    let mut words = rest.split(' ');
    let value = number(words.next().unwrap_or_default())?;
    if let Some(time) = words.next() {
        time.parse::<i64>()
            .with_context(|| format!("time {time:?}"))?;
    }
    ensure!(words.next().is_none(), "something behind the value");
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// `NAME="VALUE"` and the comma behind it, if there is one.
fn label(rest: &mut Peekable<Chars<'_>>) -> Result<(String, String)> {
    let mut name = String::new();
    while let Some(character) = rest.next_if(|character| *character != '=') {
        name.push(character);
    }
    let reserved = name.starts_with("__");
    ensure!(is_name(&name, false) && !reserved, "label {name:?}");
    ensure!(rest.next() == Some('='), "label {name} has no value");
    ensure!(rest.next() == Some('"'), "label {name} has no quote");
    let mut value = String::new();
    loop {
        match rest.next().context("an open quote")? {
            '"' => break,
            '\\' => value.push(match rest.next() {
                Some('n') => '\n',
                Some(same @ ('\\' | '"')) => same,
                other => bail!("\\{other:?} in label {name}"),
            }),
            other => value.push(other),
        }
    }
    if rest.next_if_eq(&',').is_none() {
        ensure!(rest.peek() == Some(&'}'), "no comma behind label {name}");
    }
    Ok((name, value))
}

/// A number as Go reads it, without the forms that a page has no use for.
fn number(word: &str) -> Result<f64> {
    match word {
        "+Inf" => return Ok(f64::INFINITY),
        "-Inf" => return Ok(f64::NEG_INFINITY),
        "NaN" => return Ok(f64::NAN),
        _ => {}
    }
    let plain = |character: char| character.is_ascii_digit() || "+-.eE".contains(character);
    ensure!(
        !word.is_empty() && word.chars().all(plain),
        "value {word:?}"
    );
    word.parse().with_context(|| format!("value {word:?}"))
}

/// Whether all backslashes in `text` are followed by one of `known`.
fn escapes(text: &str, known: &str) -> Result<()> {
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '\\' {
            let next = rest.next();
            let good = next.is_some_and(|next| known.contains(next));
            ensure!(good, "\\{next:?}");
        }
    }
    Ok(())
}

/// Names of metrics may have colons, those of labels not.
fn is_name(name: &str, colons: bool) -> bool {
    let good = |character: char| {
        character.is_ascii_alphabetic() || character == '_' || (colons && character == ':')
    };
    name.starts_with(good)
        && name
            .chars()
            .all(|character| good(character) || character.is_ascii_digit())
}
