//! Whether a client may send commands.

use http::Head;

/// What a token says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Good,
    /// It is another, or no token at all.
    Wrong,
    /// The request has none.
    Missing,
}

/// Compares `Authorization: Bearer TOKEN` (RFC 6750) with the token that commands need. How long
/// that takes does not depend on where they differ.
#[must_use]
pub fn check(head: &Head, token: &str) -> Verdict {
    let mut all = head.all("authorization");
    let Some(given) = all.next() else {
        return Verdict::Missing;
    };
    let given = match given.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest.trim_ascii_start(),
        _ => return Verdict::Wrong,
    };
    if all.next().is_none() && !token.is_empty() && equal(given, token.as_bytes()) {
        Verdict::Good
    } else {
        Verdict::Wrong
    }
}

const SCHEME: &[u8] = b"Bearer ";

fn equal(given: &[u8], token: &[u8]) -> bool {
    let mut differ = u8::from(given.len() != token.len());
    for (at, byte) in given.iter().enumerate() {
        let wanted = token.get(at % token.len().max(1)).copied().unwrap_or(0);
        differ |= core::hint::black_box(byte ^ wanted);
    }
    core::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(fields: &str, token: &str) -> Verdict {
        let text = format!("POST /run HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        check(&Head::parse(text.as_bytes()).unwrap(), token)
    }

    #[test]
    fn only_the_whole_token_opens() {
        let good = "Authorization: Bearer s3cret\r\n";
        assert_eq!(verdict(good, "s3cret"), Verdict::Good);
        assert_eq!(
            verdict("authorization: bearer  s3cret\r\n", "s3cret"),
            Verdict::Good
        );
        assert_eq!(verdict("", "s3cret"), Verdict::Missing);
        for wrong in ["s3cre", "s3crets", "s3creT", "", "s3crets3cret", "x"] {
            let field = format!("Authorization: Bearer {wrong}\r\n");
            assert_eq!(verdict(&field, "s3cret"), Verdict::Wrong, "{wrong}");
        }
        assert_eq!(
            verdict("Authorization: Basic s3cret\r\n", "s3cret"),
            Verdict::Wrong
        );
        assert_eq!(
            verdict("Authorization: s3cret\r\n", "s3cret"),
            Verdict::Wrong
        );
        assert_eq!(verdict(&good.repeat(2), "s3cret"), Verdict::Wrong);
        assert_eq!(verdict("Authorization: Bearer \r\n", ""), Verdict::Wrong);
    }
}
