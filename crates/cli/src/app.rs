//! What a command has at hand: its options, output, clock and the stop flag.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use tintype_engine::backend::{Counters, Counts};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;

use crate::global::{Budget, Global};
use crate::meter::Meter;
use crate::report::Report;
use crate::terminal;

pub(crate) struct App {
    pub(crate) global: Global,
    pub(crate) report: Report,
    pub(crate) env: Env,
    pub(crate) cancel: Cancel,
    pub(crate) budget: Budget,
    pub(crate) meter: Arc<Meter>,
    /// Of every backend that was opened.
    counters: Mutex<Vec<Arc<Counters>>>,
    started: Duration,
}

impl App {
    pub(crate) fn new(global: Global) -> anyhow::Result<Self> {
        let env = Env::system();
        Ok(Self {
            report: Report::new(global.json, global.quiet, global.verbose > 0),
            budget: global.budget()?,
            meter: Meter::new(env.clock.clone()),
            started: env.clock.elapsed(),
            cancel: Cancel::default(),
            counters: Mutex::default(),
            global,
            env,
        })
    }

    pub(crate) fn count(&self, counters: Arc<Counters>) {
        self.counters.lock().expect("no panic while held").push(counters);
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.env.clock.elapsed().saturating_sub(self.started).as_secs_f64()
    }

    /// Calls to all stores so far, and bytes each way.
    pub(crate) fn traffic(&self) -> Traffic {
        let counters = self.counters.lock().expect("no panic while held");
        counters.iter().map(|c| c.now()).fold(Traffic::default(), Traffic::plus)
    }

    /// Adds what the last event of every command holds.
    pub(crate) fn add_figures(&self, figures: &mut Map<String, Value>) {
        let traffic = self.traffic();
        figures.insert("seconds".into(), self.seconds().into());
        figures.insert("requests".into(), traffic.requests.into());
        figures.insert("bytes_written".into(), traffic.up_bytes.into());
        figures.insert("bytes_read".into(), traffic.down_bytes.into());
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    pub(crate) up_bytes: u64,
    pub(crate) down_bytes: u64,
}

impl Traffic {
    fn plus(self, counts: Counts) -> Self {
        let requests = counts.puts
            + counts.streams
            + counts.gets
            + counts.reads
            + counts.stats
            + counts.lists
            + counts.deletes;
        Self {
            requests: self.requests + requests,
            up_bytes: self.up_bytes + counts.up_bytes,
            down_bytes: self.down_bytes + counts.down_bytes,
        }
    }
}

/// What libraries log goes to standard error: warnings, and with `-v` more.
pub(crate) fn log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    // Those of others speak to developers: what matters of it, our errors say in words.
    let others = if verbose == 0 { "error" } else { "warn" };
    let ours = tracing_subscriber::EnvFilter::new(format!(
        "{others},tintype={level},tintype_engine={level},tintype_source={level},tintype_runner={level}"
    ));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(ours)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(terminal::LogLine::new)
        .try_init();
}
