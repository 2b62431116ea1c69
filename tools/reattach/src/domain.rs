//! Which domain a word means.

use anyhow::{Result, bail};

use crate::host::Host;

/// The highest number that a domain may have (`DOMID_FIRST_RESERVED`).
const BELOW: u32 = 0x7ff0;

/// Whether there is a domain of this number.
pub(crate) fn exists(host: &mut impl Host, id: u32) -> Result<bool> {
    Ok(host.read(&format!("/local/domain/{id}"))?.is_some())
}

/// A domain's name; its number if it has none.
pub(crate) fn name(host: &mut impl Host, id: u32) -> Result<String> {
    let name = host.read(&format!("/local/domain/{id}/name"))?;
    Ok(name.unwrap_or_else(|| id.to_string()))
}

/// The number that a text is, if it is one of a domain.
pub(crate) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|id| *id < BELOW)
}

/// The domain of this name or number, if there is one. Of two with one name, which there are for a
/// moment while one is made anew, the later.
pub(crate) fn find(host: &mut impl Host, word: &str) -> Result<Option<u32>> {
    if let Some(id) = number(word) {
        return Ok(exists(host, id)?.then_some(id));
    }
    let mut found = None;
    for entry in host.list("/local/domain")? {
        let Some(id) = number(&entry) else { continue };
        let name = host.read(&format!("/local/domain/{id}/name"))?;
        if name.as_deref() == Some(word) {
            found = found.max(Some(id));
        }
    }
    Ok(found)
}

/// The same with its name; a number may be that of a domain that is gone.
pub(crate) fn find_or_gone(host: &mut impl Host, word: &str) -> Result<(u32, String)> {
    match (find(host, word)?, number(word)) {
        (Some(id), _) => Ok((id, name(host, id)?)),
        (None, Some(id)) => Ok((id, word.to_owned())),
        (None, None) => bail!(
            "there is no domain {word:?}. If it is gone already, `reattach restore --to NEW` finds \
             what it served"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn numbers_are_those_of_domains() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("32751"), Some(32751));
        for text in ["", "32752", "99999", "123456", "-1", "+1", "1 ", "0x1", "a"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_domain_is_found_by_name_and_by_number() {
        let mut host = Model::with_driver(5);
        assert_eq!(find(&mut host, "storage").unwrap(), Some(5));
        assert_eq!(find(&mut host, "5").unwrap(), Some(5));
        assert_eq!(find(&mut host, "6").unwrap(), None);
        assert_eq!(find(&mut host, "stor").unwrap(), None);
        let found = find_or_gone(&mut host, "5").unwrap();
        assert_eq!(found, (5, "storage".to_owned()));
        let gone = find_or_gone(&mut host, "6").unwrap();
        assert_eq!(gone, (6, "6".to_owned()));
        assert!(find_or_gone(&mut host, "other").is_err());
    }
}
