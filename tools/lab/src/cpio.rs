//! Archives for an initrd: cpio's "newc" format, as Linux's
//! Documentation/driver-api/early-userspace describes it.

/// An archive being written. All files belong to root.
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            entries: 0,
        }
    }

    /// Adds a directory; its parents must have been added.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds a program: a file that may be executed.
    ///
    /// # Panics
    /// If it is 4 GiB or larger, which the format has no room for.
    pub(crate) fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_755, content);
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("a file of an initrd is small");
        let name = u32::try_from(path.len() + 1).expect("a path is short");
        self.bytes.extend_from_slice(b"070701");
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
        // namesize, check
        let links = 1;
        for field in [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            0,
            0,
            name,
            0,
        ] {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn an_archive_has_the_bytes_of_the_format() {
        let mut archive = Archive::new();
        archive.directory("bin");
        archive.program("bin/x", b"hello");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let directory = "070701".to_owned()
            + "00000001000041ed00000000000000000000000100000000"
            + "0000000000000000000000000000000000000000"
            + "0000000400000000"
            + "bin\0\0\0";
        assert_eq!(directory.len() % 4, 0);
        assert!(text.starts_with(&directory), "{text:?}");
        let program = &text[directory.len()..];
        let head = "07070100000002000081ed0000000000000000000000010000000000000005";
        assert!(program.starts_with(head), "{program:?}");
        assert!(
            program[110..].starts_with("bin/x\0hello\0\0\x0007070"),
            "{program:?}"
        );
        assert!(text.trim_end_matches('\0').ends_with("TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
