//! Hooks: commands of the user at a phase of a run.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::{Clock, Env, Task, Tasks};
use tintype_model::Error;
use tintype_model::item::HookRun;
use tintype_model::resource::{Hook, HookPlace, OnError, Phase, Resource};

use super::guard::is_readable;

/// So much of what a hook prints is kept: the last.
const OUTPUT_BYTES: usize = 16 << 10;
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// What a hook needs of an environment.
pub(crate) fn of(env: &Env) -> (&dyn Clock, &dyn Tasks) {
    (&*env.clock, &*env.tasks)
}

/// Runs a hook on this host, without the secrets of our environment. It is ended with everything that
/// it started when its time is over or the run is canceled.
pub(crate) fn run(
    hook: &Hook,
    resource: &str,
    (clock, tasks): (&dyn Clock, &dyn Tasks),
    cancel: &Cancel,
) -> HookRun {
    let spawned = tintype_source::host::command(&hook.command[0])
        .args(&hook.command[1..])
        .env("TINTYPE_RESOURCE", resource)
        .env("TINTYPE_PHASE", hook.phase.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return failed(hook, &Error::io(error, "it cannot be started")),
    };
    let output = Mutex::new(Vec::new());
    let ended = AtomicBool::new(false);
    let pipes = (child.stdout.take(), child.stderr.take());
    let mut failure = None;
    {
        let (child, failure, output, ended) = (&mut child, &mut failure, &output, &ended);
        let mut all: Vec<Task<'_>> = vec![Box::new(move || {
            let limit = Duration::from_secs(hook.timeout_seconds.into());
            *failure = wait(child, limit, clock, cancel);
            ended.store(true, Ordering::Release);
        })];
        all.extend(pipes.0.map(|pipe| Box::new(|| keep_last(pipe, output, ended)) as Task<'_>));
        all.extend(pipes.1.map(|pipe| Box::new(|| keep_last(pipe, output, ended)) as Task<'_>));
        tasks.run(all);
    }
    let exit = child.wait().ok().and_then(|status| status.code());
    let output = output.into_inner().expect("no panic while held");
    let failure = failure.or_else(|| match exit {
        Some(0) => None,
        Some(code) => Some(format!("exit code {code}")),
        None => Some("ended by a signal".into()),
    });
    HookRun {
        phase: hook.phase,
        command: hook.command.clone(),
        exit,
        output: String::from_utf8_lossy(&output).into_owned(),
        failure,
    }
}

/// The version that the resource's owner gives.
pub(super) fn version(resource: &Resource, env: &Env, cancel: &Cancel) -> Option<String> {
    let version = resource.version.as_ref()?;
    let asked = || said_version(version.command()?, &resource.name, env, cancel);
    version.text().or_else(asked)
}

/// The first line that a command prints.
pub(super) fn said_version(
    command: &[String],
    resource: &str,
    env: &Env,
    cancel: &Cancel,
) -> Option<String> {
    let hook = Hook {
        phase: Phase::PostThaw,
        command: command.to_vec(),
        place: HookPlace::Host,
        timeout_seconds: 60,
        on_error: OnError::Continue,
    };
    let run = run(&hook, resource, of(env), cancel);
    let line = run.output.lines().next().filter(|_| run.failure.is_none())?;
    Some(line.trim().chars().take(200).collect())
}

/// One that could not be tried.
pub(crate) fn failed(hook: &Hook, error: &Error) -> HookRun {
    HookRun {
        phase: hook.phase,
        command: hook.command.clone(),
        exit: None,
        output: String::new(),
        failure: Some(error.to_string()),
    }
}

/// Until it ends, or is ended; why, if it is.
fn wait(child: &mut Child, limit: Duration, clock: &dyn Clock, cancel: &Cancel) -> Option<String> {
    let begun = clock.elapsed();
    let why = loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(_)) => return None,
            Err(error) => break format!("cannot be waited for: {error}"),
        }
        if cancel.is_canceled() {
            break "the run was canceled".into();
        }
        if clock.elapsed().saturating_sub(begun) >= limit {
            break format!("did not end within {} s", limit.as_secs());
        }
        clock.sleep(LOOKS_EVERY);
    };
    end(child);
    Some(why)
}

fn end(child: &Child) {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Until the pipe is closed; or, where something that the hook left in the background holds it
/// open, until the hook has ended and nothing more comes.
fn keep_last<P: Read + AsFd>(mut pipe: P, output: &Mutex<Vec<u8>>, ended: &AtomicBool) {
    let mut buffer = [0; 4096];
    loop {
        let was_over = ended.load(Ordering::Acquire);
        if !is_readable(&pipe, LOOKS_EVERY * 2).unwrap_or(true) {
            if was_over {
                return;
            }
            continue;
        }
        let Ok(length @ 1..) = pipe.read(&mut buffer) else { return };
        let mut output = output.lock().expect("no panic while held");
        output.extend_from_slice(&buffer[..length]);
        let excess = output.len().saturating_sub(OUTPUT_BYTES);
        output.drain(..excess);
    }
}
