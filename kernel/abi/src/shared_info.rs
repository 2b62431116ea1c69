//! `struct shared_info`, `vcpu_info` and `vcpu_time_info` of `xen.h`: offsets in the page that Xen
//! shares with the domain. 32- and 64-bit values of this machine's byte order.

use core::mem::{offset_of, size_of};

use xen_sys::{arch_shared_info, arch_vcpu_info, shared_info, vcpu_info, vcpu_time_info};

/// Bytes of the whole structure.
pub const SIZE: usize = size_of::<shared_info>();

/// The first vCPU's `vcpu_info`; the next one follows [`VCPU_INFO_SIZE`] later.
pub const VCPU_INFO: usize = offset_of!(shared_info, vcpu_info);
/// Most vCPUs that have their `vcpu_info` there (`XEN_LEGACY_MAX_VCPUS`).
pub const VCPUS: u32 = 32;
/// Bytes of one `vcpu_info`.
pub const VCPU_INFO_SIZE: usize = size_of::<vcpu_info>();
/// Where the `vcpu_info` of a vCPU is; its number is below [`VCPUS`].
#[must_use]
pub const fn vcpu_info(vcpu: u32) -> usize {
    VCPU_INFO + vcpu as usize * VCPU_INFO_SIZE
}

/// In `vcpu_info`, u8: an event waits to be delivered.
pub const UPCALL_PENDING: usize = offset_of!(vcpu_info, evtchn_upcall_pending);
/// In `vcpu_info`, u8: no event is delivered while this is set.
pub const UPCALL_MASK: usize = offset_of!(vcpu_info, evtchn_upcall_mask);
/// In `vcpu_info`, u64: bit n says that word n of [`EVTCHN_PENDING`] has bits set.
pub const PENDING_SEL: usize = offset_of!(vcpu_info, evtchn_pending_sel);
/// In `vcpu_info`, u64: the address of the last page fault.
pub const CR2: usize = offset_of!(vcpu_info, arch) + offset_of!(arch_vcpu_info, cr2);
/// In `vcpu_info`: the clock, [`VCPU_TIME_SIZE`] bytes that [`VcpuTime::decode`] reads.
pub const TIME: usize = offset_of!(vcpu_info, time);

/// 64 words of u64: a bit for each port with a pending event.
pub const EVTCHN_PENDING: usize = offset_of!(shared_info, evtchn_pending);
/// 64 words of u64: a bit for each port whose events are not delivered.
pub const EVTCHN_MASK: usize = offset_of!(shared_info, evtchn_mask);

/// u32: odd while Xen writes the wall clock; changes with each write.
pub const WC_VERSION: usize = offset_of!(shared_info, wc_version);
/// u32: seconds since 1970 when the host's system time was 0, low part.
pub const WC_SEC: usize = offset_of!(shared_info, wc_sec);
/// u32: nanoseconds to be added.
pub const WC_NSEC: usize = offset_of!(shared_info, wc_nsec);
/// u32: seconds, high part.
pub const WC_SEC_HI: usize = offset_of!(shared_info, wc_sec_hi);

/// u64: the number of the last pseudo-physical frame, plus one; for the toolstack.
pub const MAX_PFN: usize = offset_of!(shared_info, arch) + offset_of!(arch_shared_info, max_pfn);
/// u64: the machine frame of the list of lists of the array of frames; for the toolstack.
pub const PFN_TO_MFN_FRAME_LIST_LIST: usize =
    offset_of!(shared_info, arch) + offset_of!(arch_shared_info, pfn_to_mfn_frame_list_list);

/// Bytes of `vcpu_time_info`.
pub const VCPU_TIME_SIZE: usize = size_of::<vcpu_time_info>();

/// A copy of `struct vcpu_time_info`, with which a time-stamp counter becomes system time:
/// `system_time + (((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul >> 32)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuTime {
    /// Odd while Xen writes the structure. A copy is whole if this was even and is the same again
    /// after the copy.
    pub version: u32,
    /// The counter when Xen wrote the structure.
    pub tsc_timestamp: u64,
    /// Nanoseconds since the host started, at that moment.
    pub system_time: u64,
    /// Multiplier, in units of 2^-32 nanoseconds.
    pub tsc_to_system_mul: u32,
    /// Shift before the multiplication; to the right if negative.
    pub tsc_shift: i8,
    /// Bit 0: the counters of all CPUs agree (`XEN_PVCLOCK_TSC_STABLE_BIT`).
    pub flags: u8,
}

impl VcpuTime {
    /// Takes the structure apart.
    #[must_use]
    pub fn decode(bytes: &[u8; VCPU_TIME_SIZE]) -> Self {
        let [
            v0,
            v1,
            v2,
            v3,
            _,
            _,
            _,
            _,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            m0,
            m1,
            m2,
            m3,
            shift,
            flags,
            _,
            _,
        ] = *bytes;
        Self {
            version: u32::from_ne_bytes([v0, v1, v2, v3]),
            tsc_timestamp: u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            system_time: u64::from_ne_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            tsc_to_system_mul: u32::from_ne_bytes([m0, m1, m2, m3]),
            tsc_shift: i8::from_ne_bytes([shift]),
            flags,
        }
    }

    /// Puts the structure together, as Xen does; for the simulator.
    #[must_use]
    pub fn encode(&self) -> [u8; VCPU_TIME_SIZE] {
        let mut bytes = [0; VCPU_TIME_SIZE];
        bytes[0..4].copy_from_slice(&self.version.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.tsc_timestamp.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.system_time.to_ne_bytes());
        bytes[24..28].copy_from_slice(&self.tsc_to_system_mul.to_ne_bytes());
        bytes[28] = self.tsc_shift.to_ne_bytes()[0];
        bytes[29] = self.flags;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_survives_encoding() {
        let time = VcpuTime {
            version: 6,
            tsc_timestamp: 0x0102_0304_0506_0708,
            system_time: 0x1112_1314_1516_1718,
            tsc_to_system_mul: 0x8000_0001,
            tsc_shift: -3,
            flags: 1,
        };
        assert_eq!(VcpuTime::decode(&time.encode()), time);
    }
}
