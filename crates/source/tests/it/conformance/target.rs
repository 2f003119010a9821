//! What every target must do.

use std::sync::atomic::Ordering;

use serde_json::Value;
use tintype_model::plan::{Check, Stage, Step, Verdict};
use tintype_source::connector::{Destination, Released, Target, TargetPlan};

use super::{Held, Session, World, capture, connector, item};

pub(crate) fn targets_conform(world: &dyn World) {
    let session = Session::of(world);
    let resource = world.resource();
    let captured = world.now() + 1;
    world.write(captured);
    let wanted = world.state();
    let mut source = connector(&resource.connector).source(&resource, &session.context).unwrap();
    let held = capture(&mut *source, None, Released::Failed).unwrap();
    assert_eq!(world.captured(&held), captured);
    each_step_can_fail(world, &held, captured);
    everything_twice(world, &held, captured, &wanted);
    beside(world, &held, captured);
}

fn plan(
    world: &dyn World,
    held: &Held,
    destination: &Destination,
) -> (Session, Box<dyn Target>, TargetPlan) {
    let session = Session::of(world);
    let resource = world.resource();
    let mut target = connector(&resource.connector).target(&session.context).unwrap();
    let plan = target.plan(&item(&resource, held), &resource, destination, held).unwrap();
    let blocked = |check: &&Check| check.outcome == Verdict::Block;
    assert_eq!(plan.checks.iter().find(blocked), None);
    assert!(plan.steps.is_sorted_by_key(|step| step.stage), "steps are sorted by stage");
    (session, target, plan)
}

/// The old data is there, untouched, after each failure and after each interruption; then the same
/// steps restore after all.
fn each_step_can_fail(world: &dyn World, held: &Held, captured: u64) {
    world.write(captured + 1);
    world.make_way();
    let before = world.state();
    world.make_way();
    let (_, _, all) = plan(world, held, &Destination::InPlace);
    for broken in 0..all.steps.len() {
        for interrupted_before in [true, false] {
            world.make_way();
            let (session, mut target, plan) = plan(world, held, &Destination::InPlace);
            let mut done = Vec::new();
            for step in &plan.steps[..broken] {
                done.push(target.apply(step, held).unwrap());
            }
            let step = &plan.steps[broken];
            if !interrupted_before {
                // Something in the middle of it; what needs nothing from the snapshot is done.
                held.fails.store(true, Ordering::Relaxed);
                let result = target.apply(step, held);
                held.fails.store(false, Ordering::Relaxed);
                if is_without_return(&plan, broken) {
                    result.unwrap();
                    let undone = target.undo(step, &Value::Null);
                    assert!(undone.is_err(), "what is gone is not said to be back");
                    assert_eq!(world.now(), captured);
                    return;
                }
            }
            // A process that knows only the plan takes it back.
            let resource = world.resource();
            let mut target = connector(&resource.connector).target(&session.context).unwrap();
            target.undo(step, &Value::Null).unwrap();
            for (step, done) in plan.steps[..broken].iter().zip(done).rev() {
                target.undo(step, &done).unwrap();
            }
            let what = format!("{}, {interrupted_before}", step.text);
            assert_eq!(world.state(), before, "{what}");
            assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
        }
    }
}

/// What only removes what was replaced comes last.
fn is_without_return(plan: &TargetPlan, step: usize) -> bool {
    plan.steps[step].stage == Stage::Clean && step + 1 == plan.steps.len()
}

fn everything_twice(world: &dyn World, held: &Held, captured: u64, wanted: &str) {
    world.write(captured + 2);
    let is_there = world.make_way();
    let (session, _, plan) = plan(world, held, &Destination::InPlace);
    for step in &plan.steps {
        for _ in 0..2 {
            let resource = world.resource();
            let mut target = connector(&resource.connector).target(&session.context).unwrap();
            target.apply(step, held).unwrap_or_else(|error| panic!("{}: {error}", step.text));
        }
    }
    assert_eq!(world.now(), captured);
    assert_eq!(world.state(), wanted);
    assert_eq!(world.leftovers(), Vec::<String>::new());
    assert_eq!(plan.replaces, is_there, "captured before it goes");
}

fn beside(world: &dyn World, held: &Held, captured: u64) {
    let Some(new) = world.as_new() else { return };
    world.write(captured + 3);
    let before = world.state();
    for is_undone in [true, false] {
        let (_session, mut target, plan) = plan(world, held, &new.destination);
        assert!(!plan.replaces);
        let is_last = |step: &Step| step.stage == Stage::Clean;
        let clean = plan.steps.iter().position(is_last).filter(|_| is_undone);
        let until = clean.unwrap_or(plan.steps.len());
        for step in &plan.steps[..until] {
            target.apply(step, held).unwrap_or_else(|error| panic!("{}: {error}", step.text));
        }
        assert_eq!((new.now)(), captured);
        if is_undone {
            for step in plan.steps[..until].iter().rev() {
                target.undo(step, &Value::Null).unwrap();
            }
        }
        assert_eq!(world.now(), captured + 3);
        assert_eq!(world.state(), before);
        assert_eq!(world.leftovers(), Vec::<String>::new());
    }
}
