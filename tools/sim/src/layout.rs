//! Offsets and numbers of Xen's ABI, as its public headers have them (Xen 4.17 and later).

/// `shared_info`, x86-64 (xen.h, arch-x86/xen.h).
pub mod shared_info {
    /// `vcpu_info[vcpu]`.
    #[must_use]
    pub const fn vcpu_info(vcpu: u32) -> usize {
        vcpu as usize * 64
    }
    /// In it, `evtchn_upcall_pending`, one byte.
    pub const UPCALL_PENDING: usize = 0;
    /// In it, `evtchn_upcall_mask`, one byte.
    pub const UPCALL_MASK: usize = 1;
    /// In it, `evtchn_pending_sel`, 64 bits.
    pub const PENDING_SEL: usize = 8;
    /// `evtchn_pending`, 64 words of 64 bits.
    pub const EVTCHN_PENDING: usize = 2048;
    /// `evtchn_mask`, 64 words of 64 bits.
    pub const EVTCHN_MASK: usize = 2560;
    /// Ports that the 2-level ABI has room for.
    pub const PORTS: u32 = 4096;
}

/// Version 1 grant entries (grant_table.h).
pub mod grant {
    /// Bytes of one entry.
    pub const ENTRY: usize = 8;
    /// Entries in one page.
    pub const PER_PAGE: u32 = 512;
    /// `flags`, 16 bits.
    pub const FLAGS: usize = 0;
    /// `domid`, 16 bits.
    pub const DOMID: usize = 2;
    /// `frame`, 32 bits.
    pub const FRAME: usize = 4;
    /// The bits of `flags` that hold the entry's type.
    pub const TYPE_MASK: u16 = 3;
    /// `GTF_permit_access`.
    pub const PERMIT_ACCESS: u16 = 1;
    /// `GTF_readonly`.
    pub const READONLY: u16 = 4;
    /// `GTF_reading`: the peer has the page mapped.
    pub const READING: u16 = 8;
    /// `GTF_writing`: the peer has the page mapped for writing.
    pub const WRITING: u16 = 16;
    /// The entry of the console ring's page (`GNTTAB_RESERVED_CONSOLE`).
    pub const CONSOLE: u32 = 0;
    /// The entry of the xenstore ring's page (`GNTTAB_RESERVED_XENSTORE`).
    pub const XENSTORE: u32 = 1;
    /// Entries that are not the domain's own to hand out (`GNTTAB_NR_RESERVED_ENTRIES`).
    pub const RESERVED: u32 = 8;

    /// `GNTST_general_error`.
    pub const GENERAL_ERROR: i16 = -1;
    /// `GNTST_bad_domain`.
    pub const BAD_DOMAIN: i16 = -2;
    /// `GNTST_bad_gntref`.
    pub const BAD_GNTREF: i16 = -3;
    /// `GNTST_bad_page`.
    pub const BAD_PAGE: i16 = -9;
    /// `GNTST_bad_copy_arg`.
    pub const BAD_COPY_ARG: i16 = -10;
}

/// A request ring's header (ring.h).
pub mod ring {
    /// `req_prod`.
    pub const REQ_PROD: usize = 0;
    /// `req_event`.
    pub const REQ_EVENT: usize = 4;
    /// `rsp_prod`.
    pub const RSP_PROD: usize = 8;
    /// `rsp_event`.
    pub const RSP_EVENT: usize = 12;
    /// Where the entries start.
    pub const HEADER: usize = 64;
}

/// The rings of a network interface (io/netif.h).
pub mod netif {
    /// Bytes of an entry of the transmit ring.
    pub const TX_ENTRY: usize = 12;
    /// Bytes of an entry of the receive ring.
    pub const RX_ENTRY: usize = 8;
    /// Bytes of an extra, which takes an entry of either ring.
    pub const EXTRA: usize = 8;
    /// Bytes of a transmit response.
    pub const TX_RESPONSE: usize = 4;

    /// `NETTXF_csum_blank`: the checksum is still to be made.
    pub const TX_CSUM_BLANK: u16 = 1;
    /// `NETTXF_data_validated`: the checksum is known to be good.
    pub const TX_DATA_VALIDATED: u16 = 2;
    /// `NETTXF_more_data`: the packet goes on in the next entry.
    pub const TX_MORE_DATA: u16 = 4;
    /// `NETTXF_extra_info`: an extra follows.
    pub const TX_EXTRA_INFO: u16 = 8;

    /// `NETRXF_data_validated`.
    pub const RX_DATA_VALIDATED: u16 = 1;
    /// `NETRXF_csum_blank`.
    pub const RX_CSUM_BLANK: u16 = 2;
    /// `NETRXF_more_data`.
    pub const RX_MORE_DATA: u16 = 4;
    /// `NETRXF_extra_info`.
    pub const RX_EXTRA_INFO: u16 = 8;

    /// `NETIF_RSP_OKAY`.
    pub const OKAY: i16 = 0;
    /// `NETIF_RSP_ERROR`.
    pub const ERROR: i16 = -1;
    /// `NETIF_RSP_DROPPED`.
    pub const DROPPED: i16 = -2;
    /// `NETIF_RSP_NULL`: the answer to an extra.
    pub const NULL: i16 = 1;

    /// `XEN_NETIF_EXTRA_TYPE_GSO`.
    pub const EXTRA_GSO: u8 = 1;
    /// `XEN_NETIF_EXTRA_TYPE_MCAST_ADD`.
    pub const EXTRA_MCAST_ADD: u8 = 2;
    /// `XEN_NETIF_EXTRA_TYPE_MCAST_DEL`.
    pub const EXTRA_MCAST_DEL: u8 = 3;
    /// One past the last kind of extra (`XEN_NETIF_EXTRA_TYPE_MAX`).
    pub const EXTRA_END: u8 = 6;
    /// `XEN_NETIF_EXTRA_FLAG_MORE`: another extra follows.
    pub const EXTRA_MORE: u8 = 1;
    /// `XEN_NETIF_GSO_TYPE_TCPV4`.
    pub const GSO_TCPV4: u8 = 1;
    /// `XEN_NETIF_GSO_TYPE_TCPV6`.
    pub const GSO_TCPV6: u8 = 2;
}

/// The page of a PCI frontend (io/pciif.h).
pub mod pciif {
    /// `flags`.
    pub const FLAGS: usize = 0;
    /// `op`, and its size.
    pub const OP: usize = 4;
    /// Bytes of `op`.
    pub const OP_SIZE: usize = 548;
    /// `aer_op`.
    pub const AER_OP: usize = 552;
    /// `XEN_PCIF_active`.
    pub const ACTIVE: u32 = 1;
    /// `XEN_PCIB_AERHANDLER`.
    pub const AER_HANDLER: u32 = 2;
    /// `XEN_PCIB_active`.
    pub const AER_ACTIVE: u32 = 4;
    /// `XEN_PCI_OP_conf_read`.
    pub const CONF_READ: u32 = 0;
    /// `XEN_PCI_OP_conf_write`.
    pub const CONF_WRITE: u32 = 1;
    /// `XEN_PCI_OP_enable_msi`.
    pub const ENABLE_MSI: u32 = 2;
    /// `XEN_PCI_OP_disable_msi`.
    pub const DISABLE_MSI: u32 = 3;
    /// `XEN_PCI_OP_enable_msix`.
    pub const ENABLE_MSIX: u32 = 4;
    /// `XEN_PCI_OP_disable_msix`.
    pub const DISABLE_MSIX: u32 = 5;
    /// `XEN_PCI_ERR_dev_not_found`.
    pub const DEV_NOT_FOUND: i32 = -1;
    /// `XEN_PCI_ERR_invalid_offset`.
    pub const INVALID_OFFSET: i32 = -2;
    /// `XEN_PCI_ERR_not_implemented`.
    pub const NOT_IMPLEMENTED: i32 = -4;
    /// `XEN_PCI_ERR_op_failed`.
    pub const OP_FAILED: i32 = -5;
}
