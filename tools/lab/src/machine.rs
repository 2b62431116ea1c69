//! QEMU as a process: started with its files, and ended whatever happens to the lab.

use crate::options::Options;
use crate::scratch::Scratch;
use crate::turn::Turn;
use crate::{agent, initrd, prepare, qemu};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Runs "$@" as this process. A helper holds the other end of this process's input: when the lab
/// dies, by whatever signal, the helper reads the end of it, kills what this process became and
/// removes its files. The lab tells the helper by a line that it has done so itself.
const LEASH: &str = "exec 3<&0\n\
                     (read -r _ <&3 || {\n\
                     kill -9 $$\n\
                     rm -f xen linux initrd agent serial.log qemu.log && rmdir \"$PWD\"\n\
                     }) 2>/dev/null &\n\
                     exec 3<&-\n\
                     exec \"$@\" </dev/null";

/// A running QEMU, its working directory, and its turn on this machine.
pub(crate) struct Machine {
    qemu: Mutex<Child>,
    leash: Option<ChildStdin>,
    directory: Scratch,
    turn: Mutex<Option<Turn>>,
    /// What the host has of dom0's page port.
    page: SocketAddr,
}

impl Machine {
    /// Starts QEMU; the stream is the agent's port.
    pub(crate) fn start(options: &Options) -> Result<(Self, UnixStream)> {
        let dom0 = prepare::dom0(options.suite)?;
        let program = qemu::program()?;
        let initrd = initrd::initrd(&dom0, &agent::programs()?)?;
        let turn = Turn::take(options.shares)?;
        let directory = Scratch::new()?;
        for name in ["xen", "linux"] {
            symlink(dom0.join(name), directory.join(name))?;
        }
        fs::write(directory.join("initrd"), initrd)?;
        let listener = UnixListener::bind(directory.join("agent"))?;
        listener.set_nonblocking(true)?;
        let page = free_port()?;

        let mut qemu = Command::new("/bin/sh")
            .args(["-c", LEASH, "qemu"])
            .args(program)
            .args(qemu::arguments(
                options,
                &dom0.join("dom0.ext4"),
                page,
                qemu::kvm(),
            ))
            .current_dir(directory.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(directory.join("qemu.log"))?)
            .spawn()
            .context("starting QEMU")?;
        let leash = qemu.stdin.take();
        let machine = Self {
            qemu: Mutex::new(qemu),
            leash,
            directory,
            turn: Mutex::new(Some(turn)),
            page,
        };
        let port = machine.accept(&listener)?;
        Ok((machine, port))
    }

    /// Waits for QEMU to connect the agent's port, which it does before it runs anything.
    fn accept(&self, listener: &UnixListener) -> Result<UnixStream> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Ok((port, _)) = listener.accept() {
                port.set_nonblocking(false)?;
                return Ok(port);
            }
            if let Some(status) = self.status()? {
                let said = fs::read_to_string(self.directory.join("qemu.log"))?;
                bail!("QEMU ended at once: {status}\n{said}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("QEMU did not start within 30 s")
    }

    /// How QEMU ended; none while it runs.
    pub(crate) fn status(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// Ends QEMU now; another nest may start.
    pub(crate) fn kill(&self) {
        let mut qemu = self.child();
        if let Err(error) = qemu.kill().and_then(|()| qemu.wait()) {
            eprintln!("lab: QEMU (process {}) did not end: {error}", qemu.id());
        }
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The address on this host from which QEMU forwards to [`qemu::PAGE_PORT`] of dom0.
    pub(crate) fn page(&self) -> SocketAddr {
        self.page
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.qemu.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Xen's and dom0's console so far.
    pub(crate) fn serial(&self) -> Vec<u8> {
        // QEMU makes the file; before that nothing has been said.
        fs::read(self.directory.join("serial.log")).unwrap_or_default()
    }
}

/// A port of this host that nobody has. Somebody may take it before QEMU does: then QEMU says so,
/// and ends at once.
fn free_port() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut leash) = self.leash.take() {
            // The helper may have been killed by somebody else.
            let _ = leash.write_all(b"ended\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LEASH;
    use crate::scratch::Scratch;
    use std::fs;
    use std::io::Write;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    fn leashed(directory: &Path, seconds: &str) -> Child {
        Command::new("/bin/sh")
            .args(["-c", LEASH, "qemu", "sleep", seconds])
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn what_is_on_the_leash_dies_with_its_holder() {
        let scratch = Scratch::new().unwrap();
        let directory = scratch.join("nest");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("initrd"), "").unwrap();
        let mut child = leashed(&directory, "600");
        sleep(Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None, "it lives while it is held");
        let since = Instant::now();
        drop(child.stdin.take()); // As the kernel does when this process dies.
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        while directory.exists() {
            assert!(
                since.elapsed() < Duration::from_secs(5),
                "the files are removed"
            );
            sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_holder_that_lets_go_kills_nothing() {
        let mut child = leashed(&std::env::temp_dir(), "1");
        let mut leash = child.stdin.take().unwrap();
        leash.write_all(b"ended\n").unwrap();
        drop(leash);
        assert!(child.wait().unwrap().success());
    }
}
