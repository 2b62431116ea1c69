//! QEMU: which one, and with which arguments.

use crate::options::Options;
use crate::{prepare, tool};
use anyhow::Result;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The oldest QEMU that is trusted to run a nest.
const OLDEST: u32 = 8;

/// The port of dom0 to which a port of the host is forwarded.
pub(crate) const PAGE_PORT: u16 = 80;

/// QEMU's program, with the arguments that come before all others.
pub(crate) fn program() -> Result<Vec<OsString>> {
    if let Some(host) = tool::find("qemu-system-x86_64") {
        let version = Command::new(&host).arg("--version").output()?;
        if major(&String::from_utf8_lossy(&version.stdout)).is_some_and(|major| major >= OLDEST) {
            return Ok(vec![host.into()]);
        }
    }
    let tree = prepare::qemu()?;
    let libraries = tree.join("usr/lib/x86_64-linux-gnu");
    let mut words: Vec<OsString> = vec![
        libraries.join("ld-linux-x86-64.so.2").into(),
        "--library-path".into(),
        libraries.into(),
        tree.join("usr/bin/qemu-system-x86_64").into(),
    ];
    for firmware in ["usr/share/qemu", "usr/share/seabios"] {
        words.extend(["-L".into(), tree.join(firmware).into()]);
    }
    Ok(words)
}

/// The major version in what `qemu --version` prints.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("version ")?.1;
    number.split('.').next()?.parse().ok()
}

/// Whether the host can run the nest's own hypervisor without emulating its CPU.
pub(crate) fn kvm() -> bool {
    let nested = fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        text.lines()
            .filter(|line| line.starts_with("flags"))
            .any(|line| {
                line.split_whitespace()
                    .any(|flag| flag == "svm" || flag == "vmx")
            })
    });
    nested
        && File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

/// QEMU's other arguments. The files `xen`, `linux`, `initrd`, `agent` (a socket that listens)
/// and `serial.log` are those of its working directory; `root` is dom0's disk, never written to;
/// `page` is the host's side of [`PAGE_PORT`].
pub(crate) fn arguments(
    options: &Options,
    root: &Path,
    page: SocketAddr,
    kvm: bool,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut add = |text: &str| words.extend(text.split(' ').map(OsString::from));
    // erms, fsrm: each repetition of a string instruction takes as long as an instruction, and
    // counts as one. With these two flags of the CPU's Linux copies and clears byte by byte, 4096
    // repetitions a page; without them 8 bytes or more at a time.
    match (options.icount, kvm) {
        (true, _) => add("-accel tcg,thread=single -icount shift=0,sleep=off \
                          -cpu max,-x2apic,-erms,-fsrm"),
        (false, true) => add("-accel kvm -cpu host"),
        (false, false) => add("-accel tcg,thread=multi -cpu max,-erms,-fsrm"),
    }
    add(if options.icount { "-smp 1" } else { "-smp 2" });
    add(&format!(
        "-m {} -machine q35 -nodefaults -display none -no-reboot",
        options.memory
    ));
    add("-serial file:serial.log -device virtio-serial-pci");
    add("-chardev socket,id=agent,path=agent -device virtserialport,chardev=agent,name=agent");
    // Nothing leads from dom0 to the host or further; romfile: nobody boots from it.
    add(&format!(
        "-netdev user,id=page,restrict=on,ipv6=off,hostfwd=tcp:{page}-:{PAGE_PORT} \
         -device virtio-net-pci,netdev=page,romfile="
    ));
    words.push("-drive".into());
    let mut drive = OsString::from("if=none,id=root,format=raw,snapshot=on,file=");
    // A comma in an option's value is written twice.
    drive.push(root.to_string_lossy().replace(',', ",,"));
    words.push(drive);
    words.extend(["-device".into(), "virtio-blk-pci,drive=root".into()]);

    let memory = options.dom0_memory;
    // eager-fpu: QEMU's xsave and xrstor do not look at CR0.TS, by which Xen would put off the
    // change of the FPU's registers to their first use: Linux would save another domain's for a
    // program's.
    // bootscrub=no: Xen's idle CPUs would clear all of QEMU's memory, which is clear, for some ten
    // seconds of the host's CPU. Where instructions are time it stays: figures are to be comparable
    // with earlier ones.
    let scrub = if options.icount { "" } else { "bootscrub=no " };
    let xen = format!(
        "console=com1 com1=115200,8n1 dom0_mem={memory}M,max:{memory}M dom0_max_vcpus=1 \
         spec-ctrl=eager-fpu {scrub}loglvl=all guest_loglvl=all noreboot {}",
        options.xen_arguments
    );
    // rodata=off: looking through all page tables once more takes two seconds here.
    let modules = "linux console=hvc0 earlyprintk=xen quiet rodata=off,initrd";
    for word in [
        "-kernel",
        "xen",
        "-append",
        xen.trim_end(),
        "-initrd",
        modules,
    ] {
        words.push(word.into());
    }
    words.extend(options.qemu_arguments.iter().map(OsString::from));
    words
}

#[cfg(test)]
mod tests {
    use super::{arguments, major};
    use crate::options::Options;
    use std::path::Path;

    fn words(options: &Options, kvm: bool) -> Vec<String> {
        let page = "127.0.0.1:4000".parse().unwrap();
        arguments(options, Path::new("/a,b/dom0.ext4"), page, kvm)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    fn has(words: &[String], pair: [&str; 2]) -> bool {
        words.windows(2).any(|two| two == pair)
    }

    #[test]
    fn ordinary_time_uses_two_cpus() {
        let plain = words(&Options::default(), false);
        assert!(has(&plain, ["-accel", "tcg,thread=multi"]));
        assert!(has(&plain, ["-smp", "2"]));
        assert!(!plain.contains(&"-icount".to_owned()));
        assert!(has(&words(&Options::default(), true), ["-accel", "kvm"]));
    }

    #[test]
    fn instruction_time_uses_one_cpu_and_no_x2apic_nor_kvm() {
        let options = Options {
            icount: true,
            ..Options::default()
        };
        for kvm in [false, true] {
            let words = words(&options, kvm);
            assert!(has(&words, ["-accel", "tcg,thread=single"]));
            assert!(has(&words, ["-icount", "shift=0,sleep=off"]));
            assert!(has(&words, ["-cpu", "max,-x2apic,-erms,-fsrm"]));
            assert!(has(&words, ["-smp", "1"]));
        }
    }

    #[test]
    fn the_root_disk_is_not_written_to_and_its_path_is_quoted() {
        let drive = "if=none,id=root,format=raw,snapshot=on,file=/a,,b/dom0.ext4";
        assert!(has(&words(&Options::default(), false), ["-drive", drive]));
    }

    #[test]
    fn a_port_of_this_host_alone_leads_to_dom0_and_dom0_leads_nowhere() {
        let words = words(&Options::default(), false);
        let network = words.iter().find(|word| word.starts_with("user,"));
        let network = network.unwrap();
        assert!(network.contains("hostfwd=tcp:127.0.0.1:4000-:80"));
        assert!(network.contains("restrict=on"));
    }

    #[test]
    fn memory_and_words_of_the_caller_arrive() {
        let options = Options {
            memory: 4096,
            dom0_memory: 777,
            xen_arguments: "sched=credit".into(),
            qemu_arguments: vec!["-device".into(), "nvme,drive=x".into()],
            ..Options::default()
        };
        let words = words(&options, false);
        assert!(has(&words, ["-m", "4096"]));
        assert!(has(&words, ["-device", "nvme,drive=x"]));
        let xen = &words[words.iter().position(|word| word == "-append").unwrap() + 1];
        assert!(xen.contains("dom0_mem=777M,max:777M"));
        assert!(xen.ends_with(" sched=credit"));
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            major("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\n"),
            Some(10)
        );
        assert_eq!(major("QEMU emulator version 7.2.11\n"), Some(7));
        assert_eq!(major("no such thing"), None);
    }
}
