//! The two loops that move bytes: all that is compiled for each kind of stream.

use core::time::Duration;

use embedded_io_async::{Error, Read, Write};
use exec::Executor;

use crate::failure::Fault;
use crate::intake::Intake;
use crate::outgoing::{Next, Outgoing};

/// How long a client may take none of the bytes that it asked for.
const STALL: Duration = Duration::from_secs(120);

/// Reads what is wanted, until the stream ends.
pub(crate) async fn fill<R: Read>(mut reader: R, intake: &Intake) -> Fault {
    loop {
        let mut buffer = intake.wanted().await;
        let mut rest = buffer.as_mut_slice();
        while !rest.is_empty() {
            match reader.read(rest).await {
                Ok(0) => return Fault::Disconnected,
                Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
                Err(error) => return Fault::Stream(error.kind()),
            }
        }
        intake.deliver(buffer);
    }
}

/// Writes what there is, until nothing more will come.
pub(crate) async fn drain<W: Write>(
    mut writer: W,
    outgoing: &Outgoing,
    exec: &Executor,
) -> Result<(), Fault> {
    loop {
        let message = match outgoing.next().await {
            Next::Send(message) => message,
            Next::Finished => return flush(&mut writer, exec).await,
            Next::Torn => return Err(Fault::TornRead),
        };
        write(&mut writer, &message.head, exec).await?;
        write(&mut writer, &message.data, exec).await?;
        if let Some(lane) = &message.lane {
            loop {
                match lane.0.next().await {
                    Next::Send(part) => write(&mut writer, &part.data, exec).await?,
                    Next::Finished => break,
                    Next::Torn => return Err(Fault::TornRead),
                }
            }
        }
    }
}

async fn write<W: Write>(writer: &mut W, mut bytes: &[u8], exec: &Executor) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let written = exec.timeout(STALL, writer.write(bytes)).await;
        match written.map_err(|_| Fault::Late)? {
            Ok(0) => return Err(Fault::Disconnected),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) => return Err(Fault::Stream(error.kind())),
        }
    }
    Ok(())
}

async fn flush<W: Write>(writer: &mut W, exec: &Executor) -> Result<(), Fault> {
    let flushed = exec.timeout(STALL, writer.flush()).await;
    let flushed = flushed.map_err(|_| Fault::Late)?;
    flushed.map_err(|error| Fault::Stream(error.kind()))
}
