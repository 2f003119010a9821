//! Programs of the host that are asked something.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use tintype_model::{Error, Result};

use crate::connector::Context;

const LOOKS_EVERY: Duration = Duration::from_millis(5);
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// What a program prints, if it ends well and in time.
pub(crate) fn output(
    program: &str,
    arguments: &[&str],
    most_bytes: u64,
    context: &Context,
) -> Result<Vec<u8>> {
    let failed = |error| Error::io(error, program);
    // A file, not a pipe: nobody has to read while it writes.
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let kept = openat(CWD, &context.scratch, flags, Mode::RUSR | Mode::WUSR);
    let mut kept = File::from(kept.map_err(|errno| failed(errno.into()))?);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(kept.try_clone().map_err(failed)?)
        .stderr(Stdio::null())
        .env("LC_ALL", "C")
        .spawn()
        .map_err(failed)?;
    let end = context.clock.elapsed() + ENDS_WITHIN;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if context.clock.elapsed() >= end || context.cancel.is_canceled() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().map_err(failed)?;
            context.cancel.check()?;
            return Err(Error::unavailable(format!("{program} does not answer")));
        }
        context.clock.sleep(LOOKS_EVERY);
    };
    if !status.success() {
        return Err(Error::unavailable(format!("{program}: {status}")));
    }
    kept.rewind().map_err(failed)?;
    let mut output = Vec::new();
    kept.take(most_bytes).read_to_end(&mut output).map_err(failed)?;
    Ok(output)
}
