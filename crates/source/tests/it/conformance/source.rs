//! What every source must do.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tintype_model::ErrorKind;
use tintype_model::resource::Consistency;
use tintype_source::connector::{Changed, Content, Part, Released, Source};

use super::{Ahead, Held, Session, World, capture, cleaned, connector};

pub(crate) fn sources_conform(world: &dyn World) {
    if world.writes_meanwhile() {
        what_was_frozen_is_read(world);
    }
    a_mark_leaves_nothing_out(world);
    release_leaves_nothing(world);
    a_kill_leaves_nothing(world);
    two_at_once_do_not_meet(world);
}

fn open(world: &dyn World, session: &Session) -> Box<dyn Source> {
    let resource = world.resource();
    connector(&resource.connector).source(&resource, &session.context).unwrap()
}

fn clean(world: &dyn World, session: &Session) -> Vec<String> {
    let resource = world.resource();
    cleaned(&*connector(&resource.connector), &[&resource], &session.context).unwrap()
}

/// Cleaning leaves alone what a session made. It may find what other tests left at this moment.
fn spares(world: &dyn World, session: &Session) {
    let said = clean(world, &Session::of(world));
    let of_it = said.iter().find(|line| line.contains(&session.context.session));
    assert_eq!(of_it, None);
}

/// A writer goes on all the time; what is read lies between what was written before the freeze and
/// after the thaw, also if it is read late.
fn what_was_frozen_is_read(world: &dyn World) {
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(world.now());
    let session = Session::of(world);
    let mut source = open(world, &session);
    let reached = source.plan().unwrap().reaches;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let next = written.load(Ordering::SeqCst) + 1;
                world.write(next);
                written.store(next, Ordering::SeqCst);
            }
        });
        let _stop = OnDrop(|| stop.store(true, Ordering::Relaxed));
        wait_for(|| written.load(Ordering::SeqCst) > 2);
        source.prepare(None).unwrap();
        let ahead = Ahead::read(source.ahead().unwrap());
        let first = written.load(Ordering::SeqCst);
        source.freeze().unwrap();
        source.thaw().unwrap();
        // One more may have been under way.
        let last = written.load(Ordering::SeqCst) + 1;
        if reached == Consistency::None {
            return;
        }
        wait_for(|| written.load(Ordering::SeqCst) > last + 3);
        let view = source.view().unwrap();
        assert_eq!(view.consistency, reached, "the level is what the plan said");
        let held = ahead.and(view);
        let number = world.captured(&held);
        assert!((first..=last).contains(&number), "{first} <= {number} <= {last}");
    });
    source.release(Released::Failed).unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// Of which parts it is known what changed.
fn known(held: &Held) -> Vec<(&[u8], bool)> {
    let trees = held.trees.iter().map(|(at, _, changed)| (&at[..], *changed != Changed::Unknown));
    let images = held.images.iter().map(|(at, changed)| (&at[..], *changed != Changed::Unknown));
    trees.chain(images).collect()
}

fn a_mark_leaves_nothing_out(world: &dyn World) {
    let mut parent: Option<Held> = None;
    let mut number = world.now();
    for round in 0..4 {
        number += 1;
        world.write(number);
        let session = Session::of(world);
        let mut source = open(world, &session);
        let mark = parent.as_ref().and_then(|parent| parent.mark.clone());
        // What a snapshot of another series read, by this mark, the mark's own series reads again.
        let other = Session::of(world);
        let mut between = open(world, &other);
        let borrowed = capture(&mut *between, mark.as_ref(), Released::Failed).unwrap();
        assert_eq!(world.captured(&borrowed), number);
        drop(between);
        let held = capture(&mut *source, mark.as_ref(), Released::Committed).unwrap();
        assert_eq!(world.captured(&held), number);
        assert_eq!(known(&borrowed), known(&held), "as much is known as before");
        for (at, tree, changed) in &held.trees {
            let Changed::Only(names) = changed else { continue };
            assert!(names.is_sorted(), "names are sorted");
            let parent = parent.as_ref().expect("only what has a parent knows what changed");
            let old = parent.trees.iter().find(|(old, ..)| old == at).unwrap();
            let updated = old.1.updated(names, tree);
            assert_eq!(updated, *tree, "round {round}: {names:?}");
        }
        for (at, changed) in &held.images {
            let Changed::Only(ranges) = changed else { continue };
            let parent = parent.as_ref().expect("only what has a parent knows what changed");
            assert!(held.only_changed(parent, at, ranges), "round {round}: {ranges:?}");
        }
        // What a mark needs is no leftover, and stays when somebody cleans.
        assert_eq!(world.leftovers(), Vec::<String>::new());
        spares(world, &session);
        if held.mark.is_none() {
            return;
        }
        parent = Some(held);
    }
}

fn release_leaves_nothing(world: &dyn World) {
    for steps in 0..=Step::ALL.len() {
        for released in [Released::Failed, Released::Committed] {
            if released == Released::Committed && steps < Step::ALL.len() {
                continue;
            }
            let session = Session::of(world);
            let mut source = open(world, &session);
            perform(&mut *source, steps);
            source.release(released).unwrap();
            assert_eq!(world.leftovers(), Vec::<String>::new(), "after {steps} steps");
        }
    }
}

fn a_kill_leaves_nothing(world: &dyn World) {
    for steps in 0..=Step::ALL.len() {
        let killed = Session::of(world);
        let mut source = open(world, &killed);
        perform(&mut *source, steps);
        // Whoever lives beside it leaves it alone.
        let next = Session::of(world);
        spares(world, &killed);
        drop(source);
        killed.kill();
        clean(world, &next);
        assert_eq!(world.leftovers(), Vec::<String>::new(), "killed after {steps} steps");
        // Nothing is frozen: it can be written to, and captured again.
        let number = world.now() + 1;
        world.write(number);
        let mut source = open(world, &next);
        let held = capture(&mut *source, None, Released::Failed).unwrap();
        assert_eq!(world.captured(&held), number);
    }
}

fn two_at_once_do_not_meet(world: &dyn World) {
    let one = Session::of(world);
    let two = Session::of(world);
    let number = world.now() + 1;
    world.write(number);
    let (mut first, mut second) = (open(world, &one), open(world, &two));
    if world.one_at_a_time() {
        return second_is_refused(world, &mut *first, &mut *second);
    }
    let mut views = Vec::new();
    for source in [&mut first, &mut second] {
        source.plan().unwrap();
        source.prepare(None).unwrap();
        let ahead = Ahead::read(source.ahead().unwrap());
        source.freeze().unwrap();
        source.thaw().unwrap();
        views.push((ahead, source.view().unwrap()));
    }
    let mut captured = |source: &mut dyn Source| {
        let (ahead, view) = views.remove(0);
        assert_eq!(world.captured(&ahead.and(view)), number);
        source.release(Released::Committed).unwrap();
    };
    // The second is read when the first is gone.
    captured(&mut *first);
    captured(&mut *second);
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

/// Clearly, at the latest when it would freeze what is frozen, and the first does not notice.
fn second_is_refused(world: &dyn World, first: &mut dyn Source, second: &mut dyn Source) {
    first.plan().unwrap();
    first.prepare(None).unwrap();
    let early = second.plan().and_then(|_| second.prepare(None));
    let ahead = Ahead::read(first.ahead().unwrap());
    first.freeze().unwrap();
    let refused = early.and_then(|()| {
        let frozen = second.freeze();
        second.thaw().unwrap();
        frozen
    });
    let refused = refused.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Locked | ErrorKind::Unavailable), "{refused}");
    first.thaw().unwrap();
    second.release(Released::Failed).unwrap();
    let held = ahead.and(first.view().unwrap());
    assert_eq!(world.captured(&held), world.now());
    first.release(Released::Committed).unwrap();
    assert_eq!(world.leftovers(), Vec::<String>::new());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Plan,
    Prepare,
    Ahead,
    Freeze,
    Thaw,
    View,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Plan, Self::Prepare, Self::Ahead, Self::Freeze, Self::Thaw, Self::View];
}

/// Of what comes before the window only the beginning is read if nothing follows.
fn read_ahead(parts: Vec<Part>, only_its_beginning: bool) {
    if !only_its_beginning {
        drop(Ahead::read(parts));
        return;
    }
    if let Some(Part { content: Content::Stream { mut read, .. }, .. }) = parts.into_iter().next() {
        read.read_exact(&mut [0; 512]).unwrap();
    }
}

fn perform(source: &mut dyn Source, steps: usize) {
    for (number, step) in Step::ALL[..steps].iter().enumerate() {
        let step_is_last = number + 1 == steps;
        let done = match step {
            Step::Plan => source.plan().map(|_| ()),
            Step::Prepare => source.prepare(None),
            Step::Ahead => source.ahead().map(|parts| read_ahead(parts, step_is_last)),
            Step::Freeze => source.freeze(),
            Step::Thaw => source.thaw(),
            Step::View => source.view().map(|_| ()),
        };
        done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
}

fn wait_for(mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody writes any more");
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
