//! Orders that agents fetch, and how far they are.
//!
//! ```text
//! waiting ──fetched──► given ──done──► answered, and gone
//!    ▲                   │
//!    └──its agent asks ──┘   and neither works on it nor has it done: it was started again
//! ```
//! Everything here is in memory: an order that is issued again after the manager was started again
//! has the same id, and finds what its agent has done of it meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tintype_api::work::WorkProgress;
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use tintype_runner::progress::Progress;
use tintype_runner::vault::work::Done;
use tokio::sync::{Notify, oneshot};

use super::hands::Silent;

/// An order that its agent begins so often ends it each time: it is given no more.
const MOST_GIVEN: u32 = 3;
/// An agent asks for work for so long.
const POLL: Duration = Duration::from_secs(20);

/// A copy that asks no more is forgotten then.
const REMEMBERED: Duration = Duration::from_mins(5);
/// What helps where two hosts have one identity.
pub const COPY_CURE: &str = "stop the agent there, remove its data directory, and join with a token \
                             of its own (`tintype agent token`)";

#[derive(Default)]
pub struct Outbox {
    desks: Mutex<BTreeMap<Id, Desk>>,
    /// Something waits, or the manager ends.
    changed: Notify,
    is_closed: AtomicBool,
}

/// What was last heard of an agent by this manager.
#[derive(Clone, Debug)]
pub struct Seen {
    /// By the clock that never goes back.
    pub elapsed: Duration,
    pub time: Timestamp,
    pub address: String,
    pub version: String,
}

#[derive(Default)]
struct Desk {
    seen: Option<Seen>,
    /// When that was last written down.
    noted: Option<Duration>,
    orders: BTreeMap<String, Order>,
    /// Which process waits for work at this moment, and with how many requests.
    asking: Option<(String, u32)>,
    /// From where another one asked meanwhile, and when.
    copy: Option<(String, Duration)>,
}

struct Order {
    what: String,
    body: Value,
    is_given: bool,
    times_given: u32,
    is_unwanted: bool,
    progress: Arc<Progress>,
    last: WorkProgress,
    answer: oneshot::Sender<Result<Done>>,
}

/// How an order stands.
#[derive(Clone, Debug)]
pub struct Standing {
    pub is_given: bool,
    pub seen: Option<Seen>,
}

/// An order that is waited for; it goes when this does.
pub struct Waiting<'o> {
    outbox: &'o Outbox,
    agent: Id,
    id: String,
    pub answered: oneshot::Receiver<Result<Done>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(desk) = self.outbox.desks().get_mut(&self.agent) {
            desk.orders.remove(&self.id);
        }
    }
}

impl Waiting<'_> {
    pub fn standing(&self) -> Standing {
        let desks = self.outbox.desks();
        let desk = desks.get(&self.agent);
        let order = desk.and_then(|desk| desk.orders.get(&self.id));
        Standing {
            is_given: order.is_some_and(|order| order.is_given),
            seen: desk.and_then(|desk| desk.seen.clone()),
        }
    }

    /// Its agent is told to stop when it next says how far it is.
    pub fn cancel(&self) {
        let mut desks = self.outbox.desks();
        let desk = desks.get_mut(&self.agent);
        if let Some(order) = desk.and_then(|desk| desk.orders.get_mut(&self.id)) {
            order.is_unwanted = true;
        }
    }
}

/// A process that waits for work.
pub struct Asking<'o> {
    outbox: &'o Outbox,
    agent: Id,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(desk) = self.outbox.desks().get_mut(&self.agent) {
            match &mut desk.asking {
                Some((_, count)) if *count > 1 => *count -= 1,
                asking => *asking = None,
            }
        }
    }
}

impl Outbox {
    fn desks(&self) -> MutexGuard<'_, BTreeMap<Id, Desk>> {
        self.desks.lock().expect("no panic while held")
    }

    /// No agent is kept waiting any more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// `Locked` where there is one of that id.
    pub fn put(
        &self,
        agent: &Id,
        id: &str,
        what: &str,
        body: Value,
        progress: &Arc<Progress>,
    ) -> Result<Waiting<'_>> {
        let (answer, answered) = oneshot::channel();
        let mut desks = self.desks();
        let orders = &mut desks.entry(agent.clone()).or_default().orders;
        if orders.contains_key(id) {
            return Err(Error::locked(format!("order {id} is out already")));
        }
        let order = Order {
            what: what.to_owned(),
            body,
            is_given: false,
            times_given: 0,
            is_unwanted: false,
            progress: Arc::clone(progress),
            last: WorkProgress::default(),
            answer,
        };
        orders.insert(id.to_owned(), order);
        drop(desks);
        self.changed.notify_waiters();
        Ok(Waiting { outbox: self, agent: agent.clone(), id: id.to_owned(), answered })
    }

    /// An agent was heard of. True where that is to be written down: once a minute.
    pub fn heard(&self, agent: &Id, seen: Seen) -> bool {
        const NOTED: Duration = Duration::from_mins(1);
        let mut desks = self.desks();
        let desk = desks.entry(agent.clone()).or_default();
        let is_due = desk.noted.is_none_or(|noted| seen.elapsed.saturating_sub(noted) >= NOTED);
        if is_due {
            desk.noted = Some(seen.elapsed);
        }
        let version = match (&desk.seen, seen.version.is_empty()) {
            (Some(before), true) => before.version.clone(),
            _ => seen.version.clone(),
        };
        desk.seen = Some(Seen { version, ..seen });
        is_due
    }

    /// `Locked` while another process waits with the same identity: one of them is a copy.
    pub fn asks(
        &self,
        agent: &Id,
        instance: &str,
        from: &str,
        elapsed: Duration,
    ) -> Result<Asking<'_>> {
        let mut desks = self.desks();
        let desk = desks.entry(agent.clone()).or_default();
        let count = match &desk.asking {
            Some((other, _)) if other != instance => {
                desk.copy = Some((from.to_owned(), elapsed));
                return Err(Error::locked(format!(
                    "another process works with this agent's identity at this moment; if this host \
                     is a copy of its host, {COPY_CURE}"
                )));
            }
            Some((_, count)) => count + 1,
            None => 1,
        };
        desk.asking = Some((instance.to_owned(), count));
        Ok(Asking { outbox: self, agent: agent.clone() })
    }

    /// From where a copy of the agent asked within the last minutes.
    pub fn copy(&self, agent: &Id, elapsed: Duration) -> Option<String> {
        let desks = self.desks();
        let (from, when) = desks.get(agent)?.copy.as_ref()?;
        (elapsed.saturating_sub(*when) < REMEMBERED).then(|| from.clone())
    }

    pub fn seen(&self, agent: &Id) -> Option<Seen> {
        self.desks().get(agent).and_then(|desk| desk.seen.clone())
    }

    /// What an agent works on, in words.
    pub fn doing(&self, agent: &Id) -> Vec<String> {
        let desks = self.desks();
        let orders = desks.get(agent).into_iter().flat_map(|desk| desk.orders.values());
        orders.filter(|order| order.is_given).map(|order| order.what.clone()).collect()
    }

    /// The next order for an agent, for which it waits a while if it `waits`. `holding`: what it has
    /// already.
    pub async fn next(
        &self,
        agent: &Id,
        holding: &[String],
        waits: bool,
    ) -> Option<(String, Value)> {
        let end = tokio::time::Instant::now() + POLL;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // What is put from here on is heard of.
            changed.as_mut().enable();
            if let Some(found) = self.give(agent, holding) {
                return Some(found);
            }
            if !waits || self.is_closed.load(Ordering::SeqCst) {
                return None;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(end) => return None,
            }
        }
    }

    fn give(&self, agent: &Id, holding: &[String]) -> Option<(String, Value)> {
        let mut desks = self.desks();
        let desk = desks.get_mut(agent)?;
        for (id, order) in &mut desk.orders {
            // One that was begun and is not held any more was lost with its process.
            order.is_given = holding.contains(id);
        }
        let worn = |order: &Order| !order.is_given && order.times_given >= MOST_GIVEN;
        let gone: Vec<String> =
            desk.orders.iter().filter(|(_, o)| worn(o)).map(|(id, _)| id.clone()).collect();
        for order in gone.iter().filter_map(|id| desk.orders.remove(id)) {
            let error = Error::unavailable(format!(
                "the agent ended {MOST_GIVEN} times while it was to {}: its log says why",
                order.what
            ))
            .with_source(Silent);
            let _ = order.answer.send(Err(error));
        }
        let (id, order) = desk.orders.iter_mut().find(|(_, order)| !order.is_given)?;
        order.is_given = true;
        order.times_given += 1;
        order.last = WorkProgress::default();
        Some((id.clone(), order.body.clone()))
    }

    /// `None` where nobody waits for it; else whether it is to stop.
    pub fn progress(&self, agent: &Id, id: &str, now: &WorkProgress) -> Option<bool> {
        let mut desks = self.desks();
        let order = desks.get_mut(agent)?.orders.get_mut(id)?;
        let (last, all) = (&order.last, &order.progress);
        let counts: [(&AtomicU64, u64, u64); 7] = [
            (&all.entries, now.entries, last.entries),
            (&all.files, now.files, last.files),
            (&all.bytes, now.bytes, last.bytes),
            (&all.moved_bytes, now.moved_bytes, last.moved_bytes),
            (&all.problems, now.problems, last.problems),
            (&all.total_entries, now.total_entries, last.total_entries),
            (&all.total_bytes, now.total_bytes, last.total_bytes),
        ];
        for (all, now, last) in counts {
            Progress::add(all, now.saturating_sub(last));
        }
        order.is_given = true;
        order.last = now.clone();
        Some(order.is_unwanted)
    }

    /// Whether somebody waited for it.
    pub fn done(&self, agent: &Id, id: &str, done: Result<Done>) -> bool {
        let order = self.desks().get_mut(agent).and_then(|desk| desk.orders.remove(id));
        order.is_some_and(|order| order.answer.send(done).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agent() -> Id {
        "0".repeat(26).parse().unwrap()
    }

    fn put<'o>(outbox: &'o Outbox, id: &str) -> Waiting<'o> {
        outbox.put(&agent(), id, "test", json!(id), &Arc::default()).unwrap()
    }

    fn given(outbox: &Outbox, holding: &[&str]) -> Option<String> {
        let holding: Vec<String> = holding.iter().map(|id| (*id).to_owned()).collect();
        outbox.give(&agent(), &holding).map(|(id, _)| id)
    }

    #[test]
    fn an_order_is_given_once_and_again_to_an_agent_that_lost_it() {
        let outbox = Outbox::default();
        let mut waiting = put(&outbox, "a");
        assert!(outbox.put(&agent(), "a", "test", json!(1), &Arc::default()).is_err());
        assert_eq!(given(&outbox, &[]).as_deref(), Some("a"));
        assert_eq!(given(&outbox, &["a"]), None);
        assert!(waiting.standing().is_given);
        // Killed and started again, twice; the third time it is no longer given.
        assert_eq!(given(&outbox, &[]).as_deref(), Some("a"));
        assert_eq!(given(&outbox, &[]).as_deref(), Some("a"));
        assert_eq!(given(&outbox, &[]), None);
        let ended = waiting.answered.try_recv().unwrap();
        assert!(ended.unwrap_err().message().contains("ended 3 times"));
    }

    #[test]
    fn of_two_with_one_identity_the_one_that_works_goes_on() {
        let outbox = Outbox::default();
        let at = Duration::from_secs;
        let ask = |instance: &str, from, now| outbox.asks(&agent(), instance, from, at(now));
        let (first, again) = (ask("a", "1.1.1.1", 0).unwrap(), ask("a", "1.1.1.1", 0).unwrap());
        let refused = ask("b", "2.2.2.2", 1).err().unwrap();
        assert!(refused.message().contains("tintype agent token"), "{refused}");
        assert_eq!(outbox.copy(&agent(), at(2)).as_deref(), Some("2.2.2.2"));
        drop(first);
        assert!(ask("b", "2.2.2.2", 2).is_err());
        drop(again);
        // Started again it is another process, and nobody else is there.
        drop(ask("b", "1.1.1.1", 3).unwrap());
        assert_eq!(outbox.copy(&agent(), at(3000)), None);
    }

    #[test]
    fn an_order_that_is_issued_again_finds_what_its_agent_holds() {
        let outbox = Outbox::default();
        let counts = Arc::new(Progress::default());
        let at = |bytes| WorkProgress { bytes, ..WorkProgress::default() };
        // Nobody waits for it yet.
        assert_eq!(outbox.progress(&agent(), "a", &at(5)), None);
        assert!(!outbox.done(&agent(), "a", Err(Error::canceled("x"))));
        let mut waiting = outbox.put(&agent(), "a", "test", json!(1), &counts).unwrap();
        assert_eq!(given(&outbox, &["a"]), None);
        assert_eq!(outbox.progress(&agent(), "a", &at(5)), Some(false));
        waiting.cancel();
        assert_eq!(outbox.progress(&agent(), "a", &at(7)), Some(true));
        assert_eq!(counts.bytes.load(Ordering::Relaxed), 7);
        assert_eq!(outbox.doing(&agent()), ["test"]);
        assert!(outbox.done(&agent(), "a", Err(Error::canceled("x"))));
        assert!(waiting.answered.try_recv().unwrap().is_err());
        // Another's order is not theirs.
        let other: Id = "1".repeat(26).parse().unwrap();
        let _waiting = put(&outbox, "b");
        assert!(!outbox.done(&other, "b", Err(Error::canceled("x"))));
        drop(waiting);
        assert_eq!(given(&outbox, &[]).as_deref(), Some("b"));
    }
}
