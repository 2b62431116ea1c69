//! Options before arguments, as in `-s 4M -f md0`.

use alloc::string::String;
use alloc::vec::Vec;

use super::Misuse;

/// One option: its letter, and its value if it takes one.
type Given<'a> = (char, Option<&'a str>);

/// Cuts `arguments` into options and what follows them. `known` has the letters there are, each
/// with a `:` behind it if it takes a value, which is the next word.
pub(super) fn options<'a>(
    arguments: &'a [String],
    known: &str,
) -> Result<(Vec<Given<'a>>, &'a [String]), Misuse> {
    let mut given = Vec::new();
    let mut rest = arguments;
    while let [word, after @ ..] = rest {
        let Some(letters) = word.strip_prefix('-').filter(|word| !word.is_empty()) else {
            break;
        };
        let mut letters = letters.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else {
            return Err(Misuse::Option(word.clone()));
        };
        let place = known.find(letter).filter(|_| letter != ':');
        let place = place.ok_or_else(|| Misuse::Option(word.clone()))?;
        rest = after;
        let mut value = None;
        if known[place + letter.len_utf8()..].starts_with(':') {
            let [word, after @ ..] = rest else {
                return Err(Misuse::Count);
            };
            (value, rest) = (Some(word.as_str()), after);
        }
        given.push((letter, value));
    }
    Ok((given, rest))
}
