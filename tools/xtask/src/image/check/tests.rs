//! Each check passes on a small good image, and fails on one that is bad in its way.

use super::super::elf::{Elf, PT_LOAD, PT_NOTE, STT_FUNC, Section, Segment, Symbol};
use super::super::strip;
use super::{CHECKS, Finished, kind, notes, red_zone, relocations, same, size, tls, xen_sys};

const BASE: u64 = 0xffff_ffff_8000_0000;
const TEXT: u64 = BASE + 0x1000;

fn note(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [4, u32::try_from(value.len()).unwrap(), kind] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"Xen\0");
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn good_notes() -> Vec<Vec<u8>> {
    vec![
        note(6, b"Xenolith\0"),
        note(8, b"generic\0"),
        note(5, b"xen-3.0\0"),
        note(1, &TEXT.to_le_bytes()),
        note(3, &BASE.to_le_bytes()),
        note(10, b"pae_pgdir_above_4gb\0"),
        note(14, &1_u32.to_le_bytes()),
    ]
}

/// An image of one function, these instructions, and these notes.
fn linked(code: &[u8], notes: &[Vec<u8>]) -> Elf {
    let segment = |kind, flags, address: u64, data: Vec<u8>| Segment {
        kind,
        flags,
        address,
        physical: address - BASE,
        memory_size: data.len() as u64,
        align: 4096,
        data,
    };
    let notes = notes.concat();
    Elf {
        kind: 2,
        machine: 62,
        entry: TEXT,
        segments: vec![
            segment(PT_LOAD, 5, TEXT, code.to_vec()),
            segment(PT_LOAD, 4, BASE + 0x2000, notes.clone()),
            segment(PT_NOTE, 4, BASE + 0x2000, notes),
        ],
        sections: vec![Section {
            name: ".text".to_owned(),
            kind: 1,
            ..Section::default()
        }],
        symbols: vec![Symbol {
            name: "_start".to_owned(),
            address: TEXT,
            size: 4,
            kind: STT_FUNC,
        }],
    }
}

const RET: &[u8] = &[0xc3];

fn good() -> Elf {
    linked(RET, &good_notes())
}

/// The finished file of a linked one, really written and parsed.
fn finish(linked: Elf) -> Finished {
    let bytes = strip::write(&linked);
    Finished {
        image: Elf::parse(&bytes).unwrap(),
        bytes,
        linked,
    }
}

fn failing(finished: &Finished) -> Vec<&'static str> {
    CHECKS
        .iter()
        .filter(|check| !(check.run)(finished).is_empty())
        .map(|check| check.name)
        .collect()
}

#[test]
fn a_good_image_passes_every_check() {
    let finished = finish(good());
    for check in CHECKS {
        assert_eq!(
            (check.run)(&finished),
            Vec::<String>::new(),
            "{}",
            check.name
        );
    }
}

#[test]
fn a_wrong_kind_of_file_is_found() {
    for bad in [
        Elf { kind: 3, ..good() },
        Elf {
            machine: 3,
            ..good()
        },
        Elf {
            entry: TEXT + 1,
            ..good()
        },
    ] {
        assert_eq!(kind::problems(&finish(bad)).len(), 1);
    }
    let mut bad = good();
    bad.segments[0].flags = 7;
    assert_eq!(
        kind::problems(&finish(bad)),
        [format!(
            "the segment at {TEXT:#x} is writable and executable"
        )]
    );
}

#[test]
fn relocations_are_found() {
    let mut bad = good();
    bad.sections.push(Section {
        name: ".rela.dyn".to_owned(),
        kind: 4,
        ..Section::default()
    });
    assert_eq!(
        relocations::problems(&finish(bad)),
        ["section .rela.dyn holds relocations"]
    );
    let mut bad = good();
    bad.segments.push(Segment {
        kind: 2,
        ..Segment::default()
    });
    assert_eq!(failing(&finish(bad)), ["the image has no relocations"]);
}

#[test]
fn each_missing_note_is_found() {
    for missing in 0..good_notes().len() {
        let mut notes = good_notes();
        notes.remove(missing);
        let problems = notes::problems(&finish(linked(RET, &notes)));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].ends_with("is there 0 times, not once"),
            "{problems:?}"
        );
    }
}

#[test]
fn each_wrong_note_is_found() {
    let wrong = [
        note(6, b"\0"),
        note(8, b"unix\0"),
        note(5, b"xen-4.0\0"),
        note(1, &0x1000_u64.to_le_bytes()),
        note(3, &(BASE + 0x1000).to_le_bytes()),
        note(10, b"\0"),
        note(14, &0_u32.to_le_bytes()),
    ];
    for (index, wrong) in wrong.into_iter().enumerate() {
        let mut notes = good_notes();
        notes[index] = wrong;
        let problems = notes::problems(&finish(linked(RET, &notes)));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("has a wrong value"), "{problems:?}");
    }
}

#[test]
fn notes_that_lie_about_their_length_are_found() {
    let mut notes = good_notes();
    notes[0][4] = 0xff;
    notes[0][5] = 0xff;
    let problems = notes::problems(&finish(linked(RET, &notes)));
    assert_eq!(problems[0], "a note reaches beyond its segment");
}

#[test]
fn the_red_zone_is_found_and_what_only_looks_like_it_is_not() {
    let store_below = [0x48, 0x89, 0x44, 0x24, 0xf8, 0xc3]; // mov [rsp-8], rax; ret
    let finished = finish(linked(&store_below, &good_notes()));
    let expected = format!("_start uses memory below rsp at {TEXT:#x}");
    assert_eq!(red_zone::problems(&finished), [expected]);
    for harmless in [
        &[0x48, 0x89, 0x44, 0x24, 0x08, 0xc3][..], // mov [rsp+8], rax
        &[0x48, 0x89, 0x44, 0xcc, 0xf8, 0xc3],     // mov [rsp+rcx*8-8], rax
        &[0x48, 0x8d, 0x64, 0x24, 0xf8, 0xc3],     // lea rsp, [rsp-8]
        &[0x48, 0x89, 0x45, 0xf8, 0xc3],           // mov [rbp-8], rax
    ] {
        let finished = finish(linked(harmless, &good_notes()));
        assert_eq!(red_zone::problems(&finished), Vec::<String>::new());
    }
}

#[test]
fn a_file_without_symbols_proves_nothing() {
    let bad = Elf {
        symbols: Vec::new(),
        ..good()
    };
    assert_eq!(
        failing(&finish(bad)),
        [
            "no function uses the red zone",
            "no function of xen-sys is linked"
        ]
    );
}

#[test]
fn thread_local_storage_is_found() {
    let mut bad = good();
    bad.segments.push(Segment {
        kind: 7,
        ..Segment::default()
    });
    assert_eq!(tls::problems(&finish(bad)).len(), 2, "in both files");
    let mut bad = good();
    bad.sections.push(Section {
        name: ".tbss".to_owned(),
        flags: 0x403,
        ..Section::default()
    });
    assert_eq!(
        tls::problems(&finish(bad)),
        ["section .tbss is thread-local"]
    );
    let canary = [0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0, 0xc3]; // mov rax, fs:[0x28]; ret
    let finished = finish(linked(&canary, &good_notes()));
    assert_eq!(
        tls::problems(&finished),
        [format!("_start reads through fs or gs at {TEXT:#x}")]
    );
    let number = [0x65, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0xc3]; // mov eax, gs:[0]; ret
    let none: [String; 0] = [];
    assert_eq!(tls::problems(&finish(linked(&number, &good_notes()))), none);
    let beyond = [0x65, 0x8b, 0x04, 0x25, 8, 0, 0, 0, 0xc3]; // mov eax, gs:[8]; ret
    assert_eq!(
        tls::problems(&finish(linked(&beyond, &good_notes()))).len(),
        1
    );
}

#[test]
fn functions_of_xen_sys_are_found() {
    for name in [
        "hypercall_2",
        "HYPERCALL_PAGE",
        "_ZN7xen_sys9hypercall8sched_op17h0123456789abcdefE",
    ] {
        let mut bad = good();
        bad.symbols.push(Symbol {
            name: name.to_owned(),
            ..Symbol::default()
        });
        assert_eq!(xen_sys::problems(&finish(bad)).len(), 1, "{name}");
    }
}

#[test]
fn a_debug_file_of_another_build_is_found() {
    let mut other = finish(good());
    other.linked = linked(&[0x90, 0xc3], &good_notes());
    assert_eq!(
        same::problems(&other),
        [format!("the segment at {TEXT:#x} differs")]
    );
    other.linked.segments.remove(0);
    assert_eq!(same::problems(&other), ["2 segments are loaded, not 1"]);
}

#[test]
fn an_image_of_two_mebibytes_is_too_large() {
    let mut finished = finish(good());
    finished.bytes.resize((2 << 20) - 1, 0);
    assert!(size::problems(&finished).is_empty());
    finished.bytes.push(0);
    assert_eq!(size::problems(&finished), ["it has 2097152 bytes"]);
}
