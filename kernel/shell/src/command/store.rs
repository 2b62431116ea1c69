//! `xenstore ls`, `read` and `write`.

use alloc::format;
use alloc::string::String;

use xenbus::{Store, StoreError};

use crate::output::Output;

/// Prints the nodes under `path`, each with its value, as `xenstore-ls` does for one level.
pub(super) async fn list(store: &Store, path: &str, out: &Output) -> Result<(), String> {
    let names = store
        .list(path)
        .await
        .map_err(|error| failed("ls", path, error))?;
    for name in names {
        let child = format!("{}/{name}", path.trim_end_matches('/'));
        match store.read_bytes(&child).await {
            Ok(value) => out.line(format_args!("{name} = \"{}\"", printable(&value))),
            // It may have gone since it was listed, or not be readable for us.
            Err(error) => out.line(format_args!("{name}: {error}")),
        }
        out.room().await;
    }
    Ok(())
}

pub(super) async fn read(store: &Store, path: &str, out: &Output) -> Result<(), String> {
    let value = store
        .read_bytes(path)
        .await
        .map_err(|error| failed("read", path, error))?;
    out.line(format_args!("{}", printable(&value)));
    Ok(())
}

pub(super) async fn write(store: &Store, path: &str, value: &str) -> Result<(), String> {
    store
        .write(path, value)
        .await
        .map_err(|error| failed("write", path, error))
}

fn failed(command: &str, path: &str, error: StoreError) -> String {
    format!("xenstore {command}: {}: {error}", path.escape_debug())
}

/// What another domain may have written, so that it cannot move the cursor.
fn printable(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for c in String::from_utf8_lossy(value).chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_move_the_cursor() {
        assert_eq!(printable(b"it's \"4\" \xc3\xa9"), "it's \"4\" é");
        assert_eq!(printable(b"\x1b[2J\r\n\xff"), "\\u{1b}[2J\\r\\n\u{fffd}");
    }
}
