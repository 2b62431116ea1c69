//! `version.h`: who Xen is, and what it can do.

/// Returns major << 16 | minor; no argument.
pub const VERSION: u64 = 0;
/// Fills 16 bytes with the rest of the version, NUL-terminated.
pub const EXTRAVERSION: u64 = 1;
/// Fills a [`FeatureInfo`].
pub const GET_FEATURES: u64 = 6;

/// `xen_extraversion_t`: bytes that [`EXTRAVERSION`] fills.
pub const EXTRAVERSION_LENGTH: usize = 16;

/// `struct xen_feature_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FeatureInfo {
    /// In: which 32 features; 0 is the only one so far.
    pub submap_idx: u32,
    /// Out: one bit for each, numbered as in [`features`](crate::features).
    pub submap: u32,
}
