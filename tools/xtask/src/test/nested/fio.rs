//! What fio says of what it wrote.

use anyhow::{Result, ensure};
use lab::Output;

/// Verifies that a fio that wrote random blocks with `--verify` read them again, found each as it
/// wrote it, and met no error. That it was ended by a signal is none.
pub(super) fn found_what_it_wrote(said: &Output) -> Result<()> {
    ensure!(
        said.stdout.contains("err= 0") && !said.stderr.contains("verify"),
        "{said}"
    );
    // It reads for nothing else.
    ensure!(
        said.stdout.contains("READ: "),
        "nothing was verified: {said}"
    );
    Ok(())
}
