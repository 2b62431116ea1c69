//! The tests, by nest. A nest is booted once for all of its tests, in this order.

use std::time::Duration;

use anyhow::Result;
use lab::{Nest, Options, Suite};

use super::export::filesystem::{self, Tree};
use super::export::restart::End;
use super::export::{self, client, ending, lifecycle, many, refusals, restart, verify};
use super::{
    balloon, boot, configs, cycles, ends, fill, footing, held, hostile, loopback, net, passthrough,
    sums,
};
use crate::bench;

/// When a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Always.
    Both,
    /// In the gate. With `--long` another test runs all of it.
    Short,
    /// With `--long`.
    Long,
}

/// A test in a nest.
pub(super) struct Test {
    /// Its name; `--filter` looks at it.
    pub name: &'static str,
    /// What it may take on the host's clock. A nest whose test takes longer is ended.
    pub limit: Duration,
    /// Where it runs.
    pub lane: Lane,
    /// The test. The image is `/root/xenolith` in dom0, the configs are in `/root/xl-configs`. It
    /// leaves dom0 as it found it.
    pub run: fn(&Nest) -> Result<()>,
}

/// Tests that share a nest.
pub(super) struct Group {
    /// What the nest is called.
    pub name: &'static str,
    /// Which nest it is.
    pub options: fn() -> Options,
    /// Its tests.
    pub tests: &'static [Test],
}

/// As many cases as there are, where the quick lane has fewer.
const ALL: usize = usize::MAX;

/// Every nested test; the nests that take longest come first.
pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "Xen 4.20, a driver domain started anew",
        options: restarts,
        tests: STARTED_ANEW,
    },
    Group {
        name: "Xen 4.20, the network over and over",
        options: trixie,
        tests: NETWORK_OVER_AND_OVER,
    },
    Group {
        name: "Xen 4.20, disks and memory over and over",
        options: trixie,
        tests: OVER_AND_OVER,
    },
    Group {
        name: "Xen 4.20, disks served over and over",
        options: trixie,
        tests: SERVED_OVER_AND_OVER,
    },
    Group {
        name: "Xen 4.20",
        options: trixie,
        tests: XEN_4_20,
    },
    Group {
        name: "Xen 4.20, disks served",
        options: trixie,
        tests: SERVED,
    },
    Group {
        name: "Xen 4.20, the network",
        options: trixie,
        tests: NETWORK,
    },
    Group {
        name: "Xen 4.20, disks served for long",
        options: trixie,
        tests: SERVED_FOR_LONG,
    },
    Group {
        name: "Xen 4.17",
        options: bookworm,
        tests: XEN_4_17,
    },
    Group {
        name: "Xen 4.20, a disk passed through",
        options: passthrough::options,
        tests: PASSED_THROUGH,
    },
    Group {
        name: "instruction time",
        options: instruction_time,
        tests: INSTRUCTION_TIME,
    },
];

const XEN_4_20: &[Test] = &[
    quick("nested_lab_is_xen_4_20", |nest| footing::is_xen(nest, 20)),
    quick("nested_lab_commands", footing::commands),
    quick("nested_lab_files", footing::files),
    long("nested_lab_disks", footing::disks),
    long("nested_lab_domains", footing::domains),
    quick("nested_boots_and_powers_off", boot::boots_and_powers_off),
    quick("nested_sums", sums::every_provider_has_dom0s_sum),
    quick("nested_sums_without_avx", sums::without_avx_too),
    quick("nested_fill", fill::fills_are_what_and_where_they_should),
    quick("nested_fill_read_only", fill::read_only_is_refused),
    long("nested_fill_direct", fill::fills_with_little_support),
    quick(
        "nested_detach_with_reads_held",
        held::detached_with_reads_held,
    ),
    smoke("nested_cycles", |nest| cycles::come_and_go(nest, 20)),
    Test {
        limit: MINUTES,
        ..smoke("nested_configs", configs::configs_do_what_they_say)
    },
    long(
        "nested_configs_all",
        configs::every_config_does_what_it_says,
    ),
    smoke("nested_balloon_10", |nest| balloon::up_and_down(nest, 10)),
    quick("nested_shutdown_and_reboot", ends::shutdown_and_reboot),
    quick(
        "nested_sysrq_and_unknown_words",
        ends::sysrq_and_unknown_words,
    ),
    quick("nested_crash", ends::a_crash_has_an_epitaph),
    quick("nested_crash_stack", ends::a_stack_overflow_is_in_xens_log),
    quick(
        "nested_crash_memory",
        ends::a_failed_allocation_has_an_epitaph,
    ),
    quick("nested_trigger", ends::a_trigger_has_an_epitaph),
    quick("nested_idle", ends::idle_costs_nothing),
    quick(
        "nested_fill_honest_backends",
        hostile::honest_backends_of_every_kind,
    ),
    smoke("nested_f01_f03_f04_c01_false_answers", |nest| {
        hostile::f01_f03_f04_c01_false_answers(nest, 3)
    }),
    long("nested_f01_f03_f04_c01_all", |nest| {
        hostile::f01_f03_f04_c01_false_answers(nest, ALL)
    }),
    smoke("nested_f08_f09_absurd_sizes", |nest| {
        hostile::f08_f09_absurd_sizes(nest, 3)
    }),
    long("nested_f08_f09_all", |nest| {
        hostile::f08_f09_absurd_sizes(nest, ALL)
    }),
    smoke("nested_f14_f25_odd_states_and_places", |nest| {
        hostile::f14_f25_odd_states_and_places(nest, 1)
    }),
    long("nested_f14_f25_all", |nest| {
        hostile::f14_f25_odd_states_and_places(nest, ALL)
    }),
    quick(
        "nested_c05_c09_f17_storms_and_pages_kept",
        hostile::c05_c09_f17_storms_and_pages_kept,
    ),
    long(
        "nested_frontend_of_every_shape",
        loopback::shapes_of_every_kind,
    ),
    long(
        "nested_frontend_does_what_it_is_told",
        loopback::orders_are_obeyed,
    ),
    long("nested_frontend_leaves_nothing", loopback::nothing_is_left),
];

/// The driver domain: the same Xen as above, in a nest beside it.
const SERVED: &[Test] = &[
    quick(
        "nested_export_sums",
        verify::sums_are_the_same_on_both_sides,
    ),
    smoke("nested_export_fio", |nest| {
        verify::fio_finds_what_it_wrote(nest, 1, "--size=2M", Duration::ZERO)
    }),
    smoke("nested_export_cycles_10", |nest| {
        lifecycle::exports_come_and_go(nest, 10)
    }),
    quick(
        "nested_export_provider_leaves",
        ending::a_provider_leaves_and_returns,
    ),
    quick(
        "nested_export_ends_by_shutdown",
        ending::a_shutdown_closes_first,
    ),
    smoke("nested_export_vcpus_3", |nest| {
        export::vcpus::both_serve_and_one_may_go(nest, 3)
    }),
    long("nested_export_vcpus_50", |nest| {
        export::vcpus::both_serve_and_one_may_go(nest, 50)
    }),
    quick(
        "nested_export_vcpus_crash",
        export::vcpus::clients_of_both_are_answered,
    ),
    quick("nested_export_refusals", refusals::refusals_say_why),
    long(
        "nested_export_late_provider",
        refusals::a_provider_is_waited_for,
    ),
    quick(
        "nested_b01_b06_requests_that_cannot_be_meant",
        export::hostile::b01_b06_requests_that_cannot_be_meant,
    ),
    long(
        "nested_b09_more_pages_than_stay_mapped",
        export::hostile::b09_more_pages_than_stay_mapped,
    ),
    smoke("nested_c01_c08_b10_rings_and_pages_that_go", |nest| {
        export::hostile::c01_c08_b10_rings_and_pages_that_go(nest, 4)
    }),
    long("nested_c01_c08_b10_all", |nest| {
        export::hostile::c01_c08_b10_rings_and_pages_that_go(nest, ALL)
    }),
    smoke("nested_b12_b13_keys_and_states", |nest| {
        export::hostile::b12_b13_keys_and_states(nest, 5)
    }),
    long("nested_b12_b13_all", |nest| {
        export::hostile::b12_b13_keys_and_states(nest, ALL)
    }),
    long("nested_export_many", many::until_one_is_refused),
    smoke("nested_export_linux_guest", |nest| {
        client::a_linux_guests_files_are_there(nest, 50)
    }),
    Test {
        limit: MINUTES,
        ..smoke("nested_restart_orderly_2", |nest| {
            restart::clients_outlive_it(nest, End::Orderly, 2)
        })
    },
    quick("nested_bench_quick", bench::smoke),
    smoke("nested_export_ext4", |nest| {
        filesystem::a_tree_survives(
            nest,
            &Tree {
                files: 300,
                mebibytes: 8,
                disk: 24,
            },
        )
    }),
    long(
        "nested_export_ends_by_crash",
        ending::a_crash_answers_its_clients,
    ),
];

/// Disks and memory that come and go, in a nest beside the others.
const OVER_AND_OVER: &[Test] = &[
    long("nested_cycles_200", |nest| cycles::come_and_go(nest, 200)),
    long("nested_balloon_200", |nest| balloon::up_and_down(nest, 200)),
];

/// What takes longest, in nests beside the others.
const SERVED_OVER_AND_OVER: &[Test] = &[long("nested_export_cycles_500", |nest| {
    lifecycle::exports_come_and_go(nest, 500)
})];

/// The clients of a driver domain outlive it, fifty times each.
const STARTED_ANEW: &[Test] = &[
    Test {
        limit: RESTARTS,
        ..long("nested_restart_orderly_50", |nest| {
            restart::clients_outlive_it(nest, End::Orderly, 50)
        })
    },
    Test {
        limit: RESTARTS,
        ..long("nested_restart_crash_50", |nest| {
            restart::clients_outlive_it(nest, End::Crash, 50)
        })
    },
];

/// How long a test of the gate may take that takes minutes on an idle machine.
const MINUTES: Duration = Duration::from_secs(1200);

/// How long fifty restarts may take.
const RESTARTS: Duration = Duration::from_secs(5400);

const SERVED_FOR_LONG: &[Test] = &[
    long("nested_export_fio_600", |nest| {
        verify::fio_finds_what_it_wrote(nest, ALL, "", Duration::from_secs(600))
    }),
    long("nested_export_ext4_full", |nest| {
        filesystem::a_tree_survives(
            nest,
            &Tree {
                files: 20_000,
                mebibytes: 500,
                disk: 760,
            },
        )
    }),
    long("nested_export_linux_guest_3000", |nest| {
        client::a_linux_guests_files_are_there(nest, 3000)
    }),
];

/// The domain on dom0's network, in a nest beside the others.
const NETWORK: &[Test] = &[
    long("nested_lab_network", net::footing::dom0s_network),
    quick("nested_net_dhcp", net::address::dhcp),
    smoke("nested_net_ping", net::ping::some_sizes),
    long("nested_net_ping_every_size", net::ping::every_size),
    quick("nested_net_jumbo", net::ping::jumbo),
    quick("nested_net_slaac", net::address::slaac),
    quick("nested_net_page", net::page::is_what_it_says),
    quick("nested_net_capture", net::capture::shows_what_passes),
    smoke("nested_net_tcp", |nest| net::streams::both_ways(nest, 16)),
    long("nested_net_tcp_128", |nest| {
        net::streams::both_ways(nest, 128)
    }),
    smoke("nested_net_echo", |nest| {
        net::program::socat_hears_its_echo(nest, 8)
    }),
    long("nested_net_echo_64", |nest| {
        net::program::socat_hears_its_echo(nest, 64)
    }),
    long("nested_net_tcp_connections", |nest| {
        net::program::many_connections(nest, 1000)
    }),
    long("nested_net_webserver", net::program::web_server_lists_disks),
    long(
        "nested_net_blockcopy",
        net::program::block_copy_copies_a_disk,
    ),
    quick("nested_net_nbd", net::nbd::clients_find_what_they_wrote),
    quick("nested_net_nbd_killed", net::nbd::clients_are_killed),
    Test {
        limit: MINUTES,
        ..smoke("nested_net_cycles_20", |nest| {
            net::cycles::come_and_go(nest, 20)
        })
    },
    Test {
        limit: MINUTES,
        ..smoke("nested_lives_3", |nest| {
            net::lives::saved_and_restored(nest, 3, 1)
        })
    },
    smoke("nested_lives_vcpus_1", |nest| {
        net::lives::saved_and_restored(nest, 1, 2)
    }),
    long("nested_net_browser", net::browser::chromium_shows_the_page),
];

/// Interfaces and whole domains that come and go, in a nest beside the others.
const NETWORK_OVER_AND_OVER: &[Test] = &[
    long("nested_net_cycles_200", |nest| {
        net::cycles::come_and_go(nest, 200)
    }),
    long("nested_lives_50", |nest| {
        net::lives::saved_and_restored(nest, 50, 1)
    }),
    long("nested_lives_vcpus_20", |nest| {
        net::lives::saved_and_restored(nest, 20, 2)
    }),
];

const XEN_4_17: &[Test] = &[
    quick("nested_lab_is_xen_4_17", |nest| footing::is_xen(nest, 17)),
    long("nested_417_lab_disks", footing::disks),
    long("nested_417_lab_domains", footing::domains),
    long("nested_417_lab_network", net::footing::dom0s_network),
    quick(
        "nested_417_boots_and_powers_off",
        boot::boots_and_powers_off,
    ),
    long("nested_417_sums", sums::every_provider_has_dom0s_sum),
    long(
        "nested_417_fill",
        fill::fills_are_what_and_where_they_should,
    ),
    long(
        "nested_417_detach_with_reads_held",
        held::detached_with_reads_held,
    ),
    long(
        "nested_417_configs",
        configs::every_config_does_what_it_says,
    ),
    long("nested_417_lives_10", |nest| {
        net::lives::saved_and_restored(nest, 10, 1)
    }),
    smoke("nested_417_migrates_1", |nest| {
        net::lives::migrated(nest, 1, 1)
    }),
    long("nested_417_migrates_10", |nest| {
        net::lives::migrated(nest, 10, 1)
    }),
    long("nested_417_migrates_vcpus_3", |nest| {
        net::lives::migrated(nest, 3, 2)
    }),
    quick("nested_417_crash", ends::a_crash_has_an_epitaph),
    quick(
        "nested_417_export_late_provider",
        refusals::a_provider_is_waited_for,
    ),
    quick(
        "nested_417_export_ends_by_crash",
        ending::a_crash_answers_its_clients,
    ),
];

const PASSED_THROUGH: &[Test] = &[quick("nested_nvme", passthrough::a_disk_is_passed_through)];

const INSTRUCTION_TIME: &[Test] = &[
    long("nested_lab_instruction_time", footing::instruction_time),
    // The last one: it ends its nest.
    long(
        "nested_lab_instruction_time_in_two_nests",
        footing::instruction_time_in_two_nests,
    ),
];

/// Its long tests take longer than a nest may by default.
fn trixie() -> Options {
    Options {
        time_limit: Duration::from_secs(5400),
        ..Options::default()
    }
}

/// Its two tests take longer still.
fn restarts() -> Options {
    Options {
        time_limit: 2 * RESTARTS,
        ..Options::default()
    }
}

fn bookworm() -> Options {
    Options {
        suite: Suite::Bookworm,
        ..trixie()
    }
}

fn instruction_time() -> Options {
    Options {
        icount: true,
        ..Options::default()
    }
}

/// A test that takes less than a minute on an idle machine; a busy one gets more time.
const fn quick(name: &'static str, run: fn(&Nest) -> Result<()>) -> Test {
    Test {
        name,
        limit: Duration::from_secs(400),
        lane: Lane::Both,
        run,
    }
}

/// The same, of something that the long lane has a longer test of.
const fn smoke(name: &'static str, run: fn(&Nest) -> Result<()>) -> Test {
    Test {
        lane: Lane::Short,
        ..quick(name, run)
    }
}

/// A test that takes many minutes.
const fn long(name: &'static str, run: fn(&Nest) -> Result<()>) -> Test {
    Test {
        name,
        limit: Duration::from_secs(3000),
        lane: Lane::Long,
        run,
    }
}
