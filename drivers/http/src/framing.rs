//! How long the body is, if that can be told without doubt (RFC 9112, 6.3).

use crate::head::{Head, Method};
use crate::limits;
use crate::refusal::Refusal;
use crate::status::Status;

/// The length of the body that follows `head`.
///
/// # Errors
/// 400 where two servers may disagree: two lengths, even if they are the same, a length beside a
/// transfer coding, a length that is no plain number. 411 for a chunked body and for a POST without
/// a length, 413 above [`limits::BODY`], 501 for another coding.
pub fn body_length(head: &Head) -> Result<usize, Refusal> {
    let mut lengths = head.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Refusal::bad("there are two lengths"));
    }
    let mut codings = head.all("transfer-encoding");
    if let Some(coding) = codings.next() {
        if length.is_some() {
            return Err(Refusal::bad("there is a length beside a transfer coding"));
        }
        if codings.next().is_some() || !head.is_1_1() {
            return Err(Refusal::bad("the transfer coding is not certain"));
        }
        return Err(if coding.eq_ignore_ascii_case(b"chunked") {
            Refusal::with(Status::LengthRequired, "chunked bodies are not taken")
        } else {
            Refusal::with(Status::NotImplemented, "the transfer coding is not known")
        });
    }
    match length {
        Some(digits) => number(digits),
        None if head.method() == Method::Post => Err(Refusal::with(
            Status::LengthRequired,
            "a POST needs a Content-Length",
        )),
        None => Ok(0),
    }
}

fn number(digits: &[u8]) -> Result<usize, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::bad("the length is no number"));
    }
    let add = |all: usize, digit: &u8| {
        let all = all.saturating_mul(10);
        all.saturating_add(usize::from(*digit - b'0'))
    };
    let length = digits.iter().fold(0, add);
    if length > limits::BODY {
        return Err(Refusal::with(
            Status::ContentTooLarge,
            "the body is too long",
        ));
    }
    Ok(length)
}
