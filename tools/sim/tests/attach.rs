//! The shipped block frontend, GEOM and xenstore client, with an honest backend.

use sim::storage::XVDA;
use sim::{BlkbackConfig, Disk, Storage};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 512 * 7 + i % 251) as u8).collect()
}

#[test]
fn a_disk_attached_is_tasted_read_written_and_detached_without_a_trace() {
    let storage = Storage::new(1);
    let before = storage.holdings();
    let bytes = pattern(1 << 20);
    let disk = Disk::with(&bytes);
    let backend = storage.attach_ready(&disk, BlkbackConfig::default());
    assert_eq!(storage.front_state(XVDA).as_deref(), Some("4"));
    storage.expect("xbd0", 4096, &bytes[4096..101 * 4096]);
    storage.write("xbd0", 1 << 20, &bytes).unwrap();
    assert!(disk.bytes(1 << 20, 1 << 20) == bytes);
    assert!(backend.served().indirect > 0);
    storage.detach(XVDA);
    assert_eq!(storage.created_and_gone(), (1, 1));
    storage.run_for(std::time::Duration::from_secs(120));
    assert_eq!(storage.holdings(), before);
}
