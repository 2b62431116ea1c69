//! Pages that admin commands bring.

use super::config::{Malice, NvmeConfig};

/// Identify Controller.
pub(super) fn controller(config: &NvmeConfig) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[..2].copy_from_slice(&0x1b36u16.to_le_bytes());
    page[4..24].copy_from_slice(b"sim                 ");
    page[24..64].copy_from_slice(b"Simulated NVMe controller               ");
    page[64..72].copy_from_slice(b"1.0     ");
    page[77] = config.largest;
    page[80..84].copy_from_slice(&0x0001_0400u32.to_le_bytes());
    // Namespace changes are reported.
    page[93] = 1;
    page[512] = 0x66;
    page[513] = 0x44;
    page[516..520].copy_from_slice(&256u32.to_le_bytes());
    page[520] = if config.deallocates { 0x0c } else { 0 };
    page[525] = u8::from(config.caches_writes);
    page[536] = u8::from(config.scatters);
    page
}

/// Identify Namespace; zeros for one that is not active.
pub(super) fn namespace(config: &NvmeConfig, malice: &Malice, id: u32) -> Vec<u8> {
    let mut page = vec![0; 4096];
    if let Some(one) = config.namespaces.iter().find(|one| one.id == id) {
        page[..8].copy_from_slice(&one.blocks.to_le_bytes());
        page[8..16].copy_from_slice(&one.blocks.to_le_bytes());
        page[25] = 1;
        page[26] = 1;
        page[99] = u8::from(one.read_only);
        page[120..128].copy_from_slice(&one.eui64.to_be_bytes());
        // The first format has metadata and is not in use.
        page[128..132].copy_from_slice(&(9u32 << 16 | 8).to_le_bytes());
        page[132..136].copy_from_slice(&(one.shift << 16).to_le_bytes());
    }
    for (at, bytes) in &malice.namespace {
        page[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    page
}

/// The active namespaces.
pub(super) fn list(config: &NvmeConfig, malice: &Malice) -> Vec<u8> {
    let known = config.namespaces.iter().map(|one| one.id);
    let ids = malice.list.clone().unwrap_or_else(|| known.collect());
    let mut page: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    page.resize(4096, 0);
    page
}

/// The health log page.
pub(super) fn health(critical: u8) -> Vec<u8> {
    let mut page = vec![0; 512];
    page[0] = critical;
    page[1..3].copy_from_slice(&310u16.to_le_bytes());
    page[3] = 100;
    page[5] = 3;
    page
}
