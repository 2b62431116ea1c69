//! Commands: their output streamed, their time limited, their process group killed as one.

use super::{Input, Reply, malformed};
use crate::wire::{Command as Request, Ending, Kind};
use rustix::process::{Pid, Signal, kill_process_group};
use std::env;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long output may go on after the command ended: something it left running in the
/// background may hold the pipe for ever.
const LINGER: Duration = Duration::from_millis(500);

pub(super) fn run(
    body: &[u8],
    reply: &Reply,
    own: Sender<Input>,
    inputs: &Receiver<Input>,
) -> io::Result<()> {
    let request = Request::decode(body).ok_or_else(|| malformed("a malformed command"))?;
    let mut child = Command::new("/bin/bash")
        .arg("-c")
        .arg(&request.line)
        .current_dir(env::home_dir().unwrap_or_else(|| "/".into()))
        .process_group(0)
        .stdin(if request.input {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let group = Pid::from_child(&child);
    let output = forward(&mut child, reply);
    let mut input = child.stdin.take().map(feed);
    thread::spawn(move || own.send(Input::Exited(child.wait())));

    let deadline = Instant::now() + request.limit;
    let mut killed = None;
    let status = loop {
        let left = match killed {
            None => deadline.saturating_duration_since(Instant::now()),
            // Killed: only a process in an uninterruptible wait stays, and it may stay for ever.
            Some(_) => Duration::from_secs(2),
        };
        match inputs.recv_timeout(left) {
            Ok(Input::Data(bytes)) => {
                let _ = input.as_ref().map(|feed| feed.send(bytes));
            }
            Ok(Input::End) => input = None,
            Ok(Input::Changed) => {}
            Ok(Input::Exited(status)) => break Some(status?),
            Ok(Input::Kill) => killed = Some(Ending::Killed),
            Err(RecvTimeoutError::Timeout) if killed.is_none() => killed = Some(Ending::TimedOut),
            Err(_) => break None,
        }
        if killed.is_some() {
            // It may have ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
    };
    let until = Instant::now() + LINGER;
    while output
        .recv_timeout(until.saturating_duration_since(Instant::now()))
        .is_ok()
    {}
    let ending = killed
        .or_else(|| status.map(ending))
        .unwrap_or(Ending::Killed);
    reply.send(Kind::Exit, ending.encode())
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signalled(signal.unwrap_or_default()),
    }
}

/// Sends both outputs as they come. The receiver hears each end once.
fn forward(child: &mut Child, reply: &Reply) -> Receiver<()> {
    let (done, ended) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        let (reply, done) = (reply.clone(), done.clone());
        thread::spawn(move || {
            let _ = reply.send_all(Kind::Stdout, &mut stdout);
            let _ = done.send(());
        });
    }
    if let Some(mut stderr) = child.stderr.take() {
        let reply = reply.clone();
        thread::spawn(move || {
            let _ = reply.send_all(Kind::Stderr, &mut stderr);
            let _ = done.send(());
        });
    }
    ended
}

/// Writes what is sent to the command's input, on a thread of its own: a command that does not
/// read must not keep the request from being killed.
fn feed(mut stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, bytes) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for bytes in bytes {
            if stdin
                .write_all(&bytes)
                .and_then(|()| stdin.flush())
                .is_err()
            {
                break;
            }
        }
    });
    sender
}
