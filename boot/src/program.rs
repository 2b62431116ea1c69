//! One program.

use app::{App, Program};
use exec::info;
use hv::{Hypervisor, ShutdownReason};
use machine::Xen;

use crate::run_loop;

/// Runs a program until it returns; for [`program!`](crate::program!).
pub fn run<F>(xen: &Xen, main: impl FnOnce(App) -> F) -> !
where
    F: Future<Output = ShutdownReason> + 'static,
{
    let program = Program::start(xen.clone(), xen.command_line(), main);
    let (log, vcpus) = (&program.pv.log, xen.vcpus());
    if vcpus > 1 {
        info!(
            log,
            "boot", "{vcpus} vCPUs; a program runs on the first only"
        );
    }
    run_loop::run(xen, &program.pv, || program.turn())
}

/// Makes an async function of an [`App`] what the image runs. It returns why the domain ends.
///
/// ```ignore
/// boot::program!(main);
///
/// async fn main(app: App) -> ShutdownReason {
///     app.say(format_args!("hello"));
///     ShutdownReason::Poweroff
/// }
/// ```
#[macro_export]
macro_rules! program {
    ($main:path) => {
        fn run(xen: &$crate::Xen) -> ! {
            $crate::program::run(xen, $main)
        }

        $crate::image!(run);
    };
}
