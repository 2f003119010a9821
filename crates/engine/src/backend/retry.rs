//! Tries again what may work later: `Unavailable` and nothing else.
//!
//! Waits are random between zero and a ceiling that doubles (full jitter; M. Brooker,
//! "Exponential Backoff And Jitter", 2015). A budget per backend, refilled by successes, keeps
//! a store that fails all the time from being asked eight times for everything.
//!
//! A put that failed may have succeeded. So if a later try finds the name taken, the object is
//! read back: the same bytes are our own success. A stream is not repeated as a whole, since
//! its bytes are gone; a driver that sends parts repeats those by the same [`Retries`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tintype_model::count::counted;
use tintype_model::{ErrorKind, Result};

use super::{Backend, Listed, PutStream, SharedBackend, StoreFeatures, Timestamp};
use crate::env::{Clock, Env, Random};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries of one call in all.
    pub attempts: u32,
    /// Ceiling of the first wait; doubles each time.
    pub first: Duration,
    /// Ceiling of every wait.
    pub longest: Duration,
    /// Retries that may be spent ahead of successes.
    pub budget: u32,
}

impl RetryPolicy {
    /// For a store across a network: about a minute of trouble is survived.
    pub const NETWORK: Self = Self {
        attempts: 8,
        first: Duration::from_millis(250),
        longest: Duration::from_secs(20),
        budget: 100,
    };
    /// For a directory: an error that stays is soon told.
    pub const DIRECTORY: Self = Self {
        attempts: 3,
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        budget: 20,
    };
}

/// What one retry costs, in successes that earn it back.
const PRICE: u32 = 5;

/// A policy at work: shared by all calls of one backend.
#[derive(Clone)]
pub struct Retries {
    policy: RetryPolicy,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    budget: Arc<AtomicU32>,
}

fn tries(count: u32) -> String {
    counted(u64::from(count), "try", "tries")
}

impl Retries {
    pub fn new(policy: RetryPolicy, env: &Env) -> Self {
        Self {
            policy,
            clock: env.clock.clone(),
            random: env.random.clone(),
            budget: Arc::new(AtomicU32::new(policy.budget.saturating_mul(PRICE))),
        }
    }

    /// After the failure of try number `attempt` (from 1): how long to wait before the next, or
    /// `None` if enough was tried. Takes from the budget.
    pub fn wait_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.policy.attempts {
            return None;
        }
        let spend = |budget: u32| budget.checked_sub(PRICE);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).ok()?;
        let doubled = self.policy.first.saturating_mul(1 << (attempt - 1).min(20));
        let mut random = [0; 4];
        self.random.fill(&mut random);
        let part = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        Some(doubled.min(self.policy.longest).mul_f64(part))
    }

    pub fn succeeded(&self) {
        let most = self.policy.budget.saturating_mul(PRICE);
        let earn = |budget: u32| (budget < most).then_some(budget + 1);
        // Full already: nothing to earn.
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
    }

    /// Calls until it works, fails for good, or enough was tried. `call` gets the number of the
    /// try, from 1.
    pub fn run<T>(&self, mut call: impl FnMut(u32) -> Result<T>) -> Result<T> {
        let mut attempt = 1;
        loop {
            let error = match call(attempt) {
                Ok(value) => {
                    self.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if !error.is(ErrorKind::Unavailable) {
                return Err(error);
            }
            let Some(wait) = self.wait_after(attempt) else {
                return Err(error.context(format_args!("after {}", tries(attempt))));
            };
            tracing::debug!(attempt, ?wait, %error, "trying again");
            self.clock.sleep(wait);
            attempt += 1;
        }
    }
}

pub struct RetryBackend {
    inner: SharedBackend,
    retries: Retries,
}

impl RetryBackend {
    pub fn new(inner: SharedBackend, retries: Retries) -> Self {
        Self { inner, retries }
    }

    /// Whether the name holds exactly these bytes.
    fn holds(&self, name: &str, data: &[u8]) -> Result<bool> {
        match self.retries.run(|_| self.inner.get(name, data.len() as u64)) {
            Ok(found) => Ok(found == data),
            // Larger than ours, or deleted again: not ours.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl Backend for RetryBackend {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn put(&self, name: &str, data: &[u8]) -> Result<()> {
        let mut attempts = 0;
        let result = self.retries.run(|attempt| {
            attempts = attempt;
            self.inner.put(name, data)
        });
        match result {
            Err(error) if error.is(ErrorKind::AlreadyExists) && attempts > 1 => {
                if self.holds(name, data)? { Ok(()) } else { Err(error) }
            }
            other => other,
        }
    }

    fn put_stream(&self, name: &str) -> Result<Box<dyn PutStream>> {
        self.retries.run(|_| self.inner.put_stream(name))
    }

    fn get(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>> {
        self.retries.run(|_| self.inner.get(name, limit_bytes))
    }

    fn read_into(&self, name: &str, offset: u64, out: &mut [u8]) -> Result<()> {
        self.retries.run(|_| self.inner.read_into(name, offset, out))
    }

    fn stat(&self, name: &str) -> Result<u64> {
        self.retries.run(|_| self.inner.stat(name))
    }

    /// Only until the first object was given out: from the second page on the driver repeats pages
    /// itself.
    /// An error of `each` is passed on at once.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let mut begun = false;
        let mut passed_on = Ok(());
        self.retries.run(|_| {
            let result = self.inner.list(prefix, &mut |listed| {
                begun = true;
                each(listed)
            });
            match result {
                Err(error) if begun => {
                    passed_on = Err(error);
                    Ok(())
                }
                other => other,
            }
        })?;
        passed_on
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.retries.run(|_| self.inner.delete(name))
    }

    fn conditional(&self) -> bool {
        self.inner.conditional()
    }

    fn store_features(&self) -> Result<StoreFeatures> {
        self.retries.run(|_| self.inner.store_features())
    }

    fn now(&self) -> Result<Option<Timestamp>> {
        self.retries.run(|_| self.inner.now())
    }

    crate::pass_on!(reserve);

    fn sweep(&self) -> Result<u64> {
        self.retries.run(|_| self.inner.sweep())
    }
}
