//! The shipped backend with the shipped frontend, end to end.

use std::time::Duration;

use geom::{Access, Errno};
use sim::scene::pattern;
use sim::{Exports, RamConfig};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_is_written_is_on_the_disk_and_what_is_on_the_disk_is_read() {
    for sector_size in [512, 4096] {
        let config = RamConfig {
            sector_size,
            ..RamConfig::default()
        };
        let exports = Exports::with(1, config);
        let bytes = pattern(3, 1 << 20);
        exports.disk.put(0, &bytes);
        let client = exports.client(1);
        assert_eq!(exports.read(&client, 0, 1 << 20).as_ref(), Ok(&bytes));
        for (at, length) in [
            (0, 4096),
            (8192, 1 << 16),
            (1 << 19, 1 << 19),
            (4096, 12288),
        ] {
            let bytes = pattern(at, length);
            let written = exports.write(&client, at as u64, &bytes);
            assert_eq!(written, Ok(()));
            assert!(exports.disk.bytes(at, length) == bytes, "{length} at {at}");
            let read = exports.read(&client, at as u64, length);
            assert!(read == Ok(bytes), "{length} at {at}");
        }
        let provider = client.geom.provider("xbd0").expect("the disk");
        assert_eq!(provider.sector_size, sector_size);
        assert!(exports.disk.used().flushes >= 4);
    }
}
