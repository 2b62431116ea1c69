//! Sizes and offsets.

use std::mem::{offset_of, size_of};

use xen_abi::arch_x86::{IretContext, TrapInfo};
use xen_abi::callback::CallbackRegister;
use xen_abi::grant_table::{
    self, Copy, CopyPtr, MapGrantRef, QuerySize, SetVersion, SetupTable, UnmapGrantRef,
};
use xen_abi::io::{blkif, console, netif, pciif, ring, xs_wire};
use xen_abi::memory::{Domain, MachphysMapping, MemoryMap, Reservation};
use xen_abi::version::FeatureInfo;
use xen_abi::xen::{MmuUpdate, MmuextOp, MulticallEntry, StartInfo};
use xen_abi::{event_channel, physdev, sched, shared_info, vcpu};

use super::Pair;

/// A struct's size, and its fields' offsets; `field = name` where C's name is another.
macro_rules! layout {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    ($pairs:ident, $c:literal, $rust:ty, [$($field:ident $(= $name:literal)?),*]) => {
        $pairs.push((format!("sizeof({})", $c), size_of::<$rust>() as i128));
        $(
            let name = layout!(@name $field $($name)?);
            $pairs.push((format!("offsetof({}, {name})", $c), offset_of!($rust, $field) as i128));
        )*
    };
}

pub(crate) fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    hypercall_arguments(&mut pairs);
    grants(&mut pairs);
    pages(&mut pairs);
    pci(&mut pairs);
    pairs
}

fn hypercall_arguments(pairs: &mut Vec<Pair>) {
    layout!(
        pairs,
        "struct trap_info",
        TrapInfo,
        [vector, flags, cs, address]
    );
    layout!(
        pairs,
        "struct iret_context",
        IretContext,
        [rax, r11, rcx, flags, rip, cs, rflags, rsp, ss]
    );
    layout!(
        pairs,
        "struct callback_register",
        CallbackRegister,
        [kind = "type", flags, address]
    );
    layout!(pairs, "struct mmu_update", MmuUpdate, [ptr, val]);
    layout!(pairs, "struct mmuext_op", MmuextOp, [cmd, arg1, arg2]);
    layout!(
        pairs,
        "struct multicall_entry",
        MulticallEntry,
        [op, result, args]
    );
    layout!(
        pairs,
        "struct evtchn_alloc_unbound",
        event_channel::AllocUnbound,
        [dom, remote_dom, port]
    );
    layout!(
        pairs,
        "struct evtchn_bind_interdomain",
        event_channel::BindInterdomain,
        [remote_dom, remote_port, local_port]
    );
    layout!(
        pairs,
        "struct evtchn_bind_virq",
        event_channel::BindVirq,
        [virq, vcpu, port]
    );
    layout!(
        pairs,
        "struct evtchn_bind_ipi",
        event_channel::BindIpi,
        [vcpu, port]
    );
    layout!(
        pairs,
        "struct evtchn_bind_vcpu",
        event_channel::BindVcpu,
        [port, vcpu]
    );
    layout!(
        pairs,
        "struct vcpu_runstate_info",
        vcpu::RunstateInfo,
        [state, state_entry_time, time]
    );
    layout!(
        pairs,
        "struct vcpu_guest_context",
        vcpu::GuestContext,
        [
            flags,
            user_regs,
            trap_ctxt,
            kernel_ss,
            kernel_sp,
            ctrlreg,
            gs_base_kernel
        ]
    );
    layout!(
        pairs,
        "struct evtchn_bind_pirq",
        event_channel::BindPirq,
        [pirq, flags, port]
    );
    layout!(
        pairs,
        "struct physdev_irq_status_query",
        physdev::IrqStatusQuery,
        [irq, flags]
    );
    layout!(pairs, "struct physdev_eoi", physdev::Eoi, [irq]);
    layout!(pairs, "struct evtchn_close", event_channel::Close, [port]);
    layout!(pairs, "struct evtchn_send", event_channel::Send, [port]);
    layout!(
        pairs,
        "struct evtchn_status",
        event_channel::Status,
        [dom, port, status, vcpu, u]
    );
    layout!(pairs, "struct evtchn_reset", event_channel::Reset, [dom]);
    layout!(pairs, "struct sched_shutdown", sched::Shutdown, [reason]);
    layout!(
        pairs,
        "struct sched_poll",
        sched::Poll,
        [ports, nr_ports, timeout]
    );
    layout!(
        pairs,
        "struct sched_watchdog",
        sched::Watchdog,
        [id, timeout]
    );
    layout!(
        pairs,
        "struct xen_memory_reservation",
        Reservation,
        [extent_start, nr_extents, extent_order, mem_flags, domid]
    );
    layout!(pairs, "struct xen_memory_domain", Domain, [domid]);
    layout!(
        pairs,
        "struct xen_memory_map",
        MemoryMap,
        [nr_entries, buffer]
    );
    layout!(
        pairs,
        "struct xen_machphys_mapping",
        MachphysMapping,
        [v_start, v_end, max_mfn]
    );
    layout!(
        pairs,
        "struct xen_feature_info",
        FeatureInfo,
        [submap_idx, submap]
    );
}

fn grants(pairs: &mut Vec<Pair>) {
    layout!(
        pairs,
        "struct gnttab_map_grant_ref",
        MapGrantRef,
        [
            host_addr,
            flags,
            gref = "ref",
            dom,
            status,
            handle,
            dev_bus_addr
        ]
    );
    layout!(
        pairs,
        "struct gnttab_unmap_grant_ref",
        UnmapGrantRef,
        [host_addr, dev_bus_addr, handle, status]
    );
    layout!(
        pairs,
        "struct gnttab_setup_table",
        SetupTable,
        [dom, nr_frames, status, frame_list]
    );
    layout!(
        pairs,
        "struct gnttab_query_size",
        QuerySize,
        [dom, nr_frames, max_nr_frames, status]
    );
    layout!(
        pairs,
        "struct gnttab_copy",
        Copy,
        [source, dest, len, flags, status]
    );
    layout!(
        pairs,
        "struct gnttab_copy_ptr",
        CopyPtr,
        [frame = "u", domid, offset]
    );
    layout!(pairs, "struct gnttab_set_version", SetVersion, [version]);
    numbers(
        pairs,
        &[
            ("sizeof(struct grant_entry_v1)", grant_table::ENTRY_SIZE),
            (
                "offsetof(struct grant_entry_v1, flags)",
                grant_table::ENTRY_FLAGS,
            ),
            (
                "offsetof(struct grant_entry_v1, domid)",
                grant_table::ENTRY_DOMID,
            ),
            (
                "offsetof(struct grant_entry_v1, frame)",
                grant_table::ENTRY_FRAME,
            ),
        ],
    );
}

/// Pages that Xen or a peer shares: offsets only.
fn pages(pairs: &mut Vec<Pair>) {
    layout!(
        pairs,
        "struct start_info",
        StartInfo,
        [
            magic,
            nr_pages,
            shared_info,
            flags,
            store_mfn,
            store_evtchn,
            console_mfn = "console.domU.mfn",
            console_evtchn = "console.domU.evtchn",
            pt_base,
            nr_pt_frames,
            mfn_list,
            mod_start,
            mod_len,
            cmd_line,
            first_p2m_pfn,
            nr_p2m_frames
        ]
    );
    numbers(
        pairs,
        &[
            ("sizeof(struct shared_info)", shared_info::SIZE),
            (
                "offsetof(struct shared_info, vcpu_info)",
                shared_info::VCPU_INFO,
            ),
            ("sizeof(struct vcpu_info)", shared_info::VCPU_INFO_SIZE),
            ("XEN_LEGACY_MAX_VCPUS", shared_info::VCPUS as usize),
            (
                "offsetof(struct shared_info, vcpu_info[3])",
                shared_info::vcpu_info(3),
            ),
            (
                "offsetof(struct vcpu_info, evtchn_upcall_pending)",
                shared_info::UPCALL_PENDING,
            ),
            (
                "offsetof(struct vcpu_info, evtchn_upcall_mask)",
                shared_info::UPCALL_MASK,
            ),
            (
                "offsetof(struct vcpu_info, evtchn_pending_sel)",
                shared_info::PENDING_SEL,
            ),
            ("offsetof(struct vcpu_info, arch.cr2)", shared_info::CR2),
            ("offsetof(struct vcpu_info, time)", shared_info::TIME),
            (
                "offsetof(struct shared_info, evtchn_pending)",
                shared_info::EVTCHN_PENDING,
            ),
            (
                "offsetof(struct shared_info, evtchn_mask)",
                shared_info::EVTCHN_MASK,
            ),
            (
                "offsetof(struct shared_info, wc_version)",
                shared_info::WC_VERSION,
            ),
            ("offsetof(struct shared_info, wc_sec)", shared_info::WC_SEC),
            (
                "offsetof(struct shared_info, wc_nsec)",
                shared_info::WC_NSEC,
            ),
            (
                "offsetof(struct shared_info, wc_sec_hi)",
                shared_info::WC_SEC_HI,
            ),
            (
                "offsetof(struct shared_info, arch.max_pfn)",
                shared_info::MAX_PFN,
            ),
            (
                "offsetof(struct shared_info, arch.pfn_to_mfn_frame_list_list)",
                shared_info::PFN_TO_MFN_FRAME_LIST_LIST,
            ),
            ("sizeof(struct vcpu_time_info)", shared_info::VCPU_TIME_SIZE),
            ("offsetof(struct xencons_interface, in)", console::IN),
            (
                "sizeof(((struct xencons_interface *)0)->in)",
                console::IN_SIZE,
            ),
            ("offsetof(struct xencons_interface, out)", console::OUT),
            (
                "sizeof(((struct xencons_interface *)0)->out)",
                console::OUT_SIZE,
            ),
            (
                "offsetof(struct xencons_interface, in_cons)",
                console::IN_CONS,
            ),
            (
                "offsetof(struct xencons_interface, in_prod)",
                console::IN_PROD,
            ),
            (
                "offsetof(struct xencons_interface, out_cons)",
                console::OUT_CONS,
            ),
            (
                "offsetof(struct xencons_interface, out_prod)",
                console::OUT_PROD,
            ),
            (
                "offsetof(struct xenstore_domain_interface, req)",
                xs_wire::REQ,
            ),
            (
                "offsetof(struct xenstore_domain_interface, rsp)",
                xs_wire::RSP,
            ),
            (
                "offsetof(struct xenstore_domain_interface, req_cons)",
                xs_wire::REQ_CONS,
            ),
            (
                "offsetof(struct xenstore_domain_interface, req_prod)",
                xs_wire::REQ_PROD,
            ),
            (
                "offsetof(struct xenstore_domain_interface, rsp_cons)",
                xs_wire::RSP_CONS,
            ),
            (
                "offsetof(struct xenstore_domain_interface, rsp_prod)",
                xs_wire::RSP_PROD,
            ),
            (
                "offsetof(struct xenstore_domain_interface, server_features)",
                xs_wire::SERVER_FEATURES,
            ),
            (
                "offsetof(struct xenstore_domain_interface, connection)",
                xs_wire::CONNECTION,
            ),
            (
                "offsetof(struct xenstore_domain_interface, error)",
                xs_wire::ERROR,
            ),
            ("offsetof(struct blkif_sring, req_prod)", ring::REQ_PROD),
            ("offsetof(struct blkif_sring, req_event)", ring::REQ_EVENT),
            ("offsetof(struct blkif_sring, rsp_prod)", ring::RSP_PROD),
            ("offsetof(struct blkif_sring, rsp_event)", ring::RSP_EVENT),
            ("offsetof(struct blkif_sring, ring)", ring::ENTRIES),
            ("sizeof(union blkif_sring_entry)", blkif::REQUEST_SIZE),
            ("sizeof(struct blkif_response)", blkif::RESPONSE_SIZE),
            ("sizeof(union netif_tx_sring_entry)", netif::TX_ENTRY_SIZE),
            ("sizeof(union netif_rx_sring_entry)", netif::RX_ENTRY_SIZE),
            ("sizeof(struct blkif_request_segment)", blkif::SEGMENT_SIZE),
        ],
    );
}

fn numbers(pairs: &mut Vec<Pair>, list: &[(&str, usize)]) {
    pairs.extend(
        list.iter()
            .map(|(expression, ours)| ((*expression).to_owned(), *ours as i128)),
    );
}

/// The page of a PCI frontend.
fn pci(pairs: &mut Vec<Pair>) {
    let page = "offsetof(struct xen_pci_sharedinfo";
    let op = "offsetof(struct xen_pci_op";
    for (what, number) in [
        ("sizeof(struct xen_pci_sharedinfo)".to_owned(), pciif::SIZE),
        (format!("{page}, flags)"), pciif::FLAGS),
        (format!("{page}, op)"), pciif::OP),
        (format!("{page}, aer_op)"), pciif::AER_OP),
        ("sizeof(struct xen_pci_op)".to_owned(), pciif::OP_SIZE),
        (format!("{op}, cmd)"), pciif::CMD),
        (format!("{op}, err)"), pciif::ERR),
        (format!("{op}, domain)"), pciif::DOMAIN),
        (format!("{op}, bus)"), pciif::BUS),
        (format!("{op}, devfn)"), pciif::DEVFN),
        (format!("{op}, offset)"), pciif::OFFSET),
        (format!("{op}, size)"), pciif::REGISTER_SIZE),
        (format!("{op}, value)"), pciif::VALUE),
        (format!("{op}, info)"), pciif::INFO),
        (format!("{op}, msix_entries)"), pciif::MSIX_ENTRIES),
        (
            "offsetof(struct xen_pcie_aer_op, cmd)".to_owned(),
            pciif::CMD,
        ),
        (
            "offsetof(struct xen_pcie_aer_op, err)".to_owned(),
            pciif::ERR,
        ),
        (
            "offsetof(struct xen_pcie_aer_op, domain)".to_owned(),
            pciif::DOMAIN,
        ),
        (
            "offsetof(struct xen_pcie_aer_op, bus)".to_owned(),
            pciif::BUS,
        ),
        (
            "offsetof(struct xen_pcie_aer_op, devfn)".to_owned(),
            pciif::DEVFN,
        ),
    ] {
        pairs.push((what, number as i128));
    }
}
