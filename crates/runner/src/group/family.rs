//! An application with its members, or a resource of its own: what shares hooks, and what of it is
//! frozen together.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use tintype_engine::cancel::Cancel;
use tintype_model::item::HookRun;
use tintype_model::resource::{Hook, HookPlace, OnError, Phase, Resource, Resources};

use super::guard::OwedHook;
use super::member::Member;
use super::{Taking, hooks};

pub(super) struct Family<'t> {
    pub application: Option<&'t Resource>,
    /// Numbers of the members of each group, in the order of the application's components.
    pub groups: BTreeMap<String, Vec<usize>>,
}

impl Family<'_> {
    fn numbers(&self) -> Vec<usize> {
        let mut numbers: Vec<_> = self.groups.values().flatten().copied().collect();
        numbers.sort_unstable();
        numbers
    }
}

/// In the order in which their first members stand.
pub(super) fn families<'t>(resources: &'t Resources, members: &[Member]) -> Vec<Family<'t>> {
    let mut families: Vec<Family<'t>> = Vec::new();
    for (number, member) in members.iter().enumerate() {
        let name = &member.resource.name;
        let application = resources.owner_of(name);
        let is_its = |family: &Family<'_>| {
            application.is_some_and(|own| family.application.is_some_and(|a| a.name == own.name))
        };
        let group = application
            .and_then(|own| own.components.iter().find(|c| c.resource == *name)?.group.clone())
            .unwrap_or_default();
        let at = families.iter().position(is_its).unwrap_or_else(|| {
            families.push(Family { application, groups: BTreeMap::new() });
            families.len() - 1
        });
        let family = &mut families[at];
        family.groups.entry(group).or_default().push(number);
    }
    for family in &mut families {
        // As they are written to, which is how somebody wrote them down.
        let at = |number: &usize| {
            let name = &members[*number].resource.name;
            family.application?.components.iter().position(|c| c.resource == *name)
        };
        family.groups.values_mut().for_each(|numbers| numbers.sort_by_key(at));
    }
    families
}

impl Taking<'_> {
    /// Runs the hooks of a phase: first those of the application, then those of its members; at the
    /// end of something in the opposite order. Whether there was somebody to run them for.
    ///
    /// Those before the freeze run for what has not failed. Those after it run whatever became of
    /// it, also when the run is cancelled.
    pub(super) fn hooks(&self, members: &mut [Member], family: &Family<'_>, phase: Phase) -> bool {
        let numbers = family.numbers();
        let is_begin = phase == Phase::PreQuiesce;
        if is_begin && numbers.iter().all(|number| members[*number].is_failed()) {
            return false;
        }
        let of_application = |members: &mut [Member]| {
            let is_here = |own: &&Resource| !self.group.elsewhere.contains(&own.name);
            let Some(application) = family.application.filter(is_here) else { return };
            for hook in application.hooks.iter().filter(|hook| hook.phase == phase) {
                let run = self.on_host(hook, &application.name);
                if let (OnError::Fail, Some(failure)) = (hook.on_error, &run.failure) {
                    let why = failed_by(&run, failure);
                    numbers.iter().for_each(|number| members[*number].fail(&why));
                }
                let mut all = self.of_applications.lock().expect("no panic while held");
                all.entry(application.name.clone()).or_default().push(run);
            }
        };
        if is_begin {
            of_application(members);
        }
        for number in &numbers {
            self.hooks_of(&mut members[*number], phase);
        }
        if !is_begin {
            of_application(members);
        }
        true
    }

    /// The guard must know what is owed before anything is stopped; whether it does.
    pub(super) fn owe(&self, members: &mut [Member], family: &Family<'_>) -> bool {
        let numbers = family.numbers();
        let is_here = |own: &&Resource| !self.group.elsewhere.contains(&own.name);
        let own = numbers.iter().map(|number| &members[*number]);
        let own = own.filter(|member| !member.is_failed()).map(|member| &member.resource);
        let all: Vec<&Resource> = own.chain(family.application.filter(is_here)).collect();
        let has = |phase: Phase| {
            all.iter()
                .flat_map(|of| of.hooks.iter().map(move |hook| (*of, hook)))
                .filter(move |(_, hook)| hook.phase == phase)
        };
        if has(Phase::PreQuiesce).next().is_none() {
            return true;
        }
        let owed = has(Phase::PostThaw)
            .map(|(of, hook)| OwedHook { of: of.clone(), hook: hook.clone() })
            .collect();
        let owed = self.guards.lock().expect("no panic while held").owe(owed);
        if let Err(error) = &owed {
            numbers.iter().for_each(|number| members[*number].fail(error));
        }
        owed.is_ok()
    }

    fn hooks_of(&self, member: &mut Member, phase: Phase) {
        // Of a pair both run or none.
        match phase {
            Phase::PreQuiesce if member.is_failed() => return,
            Phase::PreQuiesce => member.is_quiesced = true,
            Phase::PostThaw if !member.is_quiesced => return,
            _ => {}
        }
        let all = member.resource.hooks.clone();
        for hook in all.iter().filter(|hook| hook.phase == phase) {
            if phase == Phase::PreQuiesce && member.is_failed() {
                break;
            }
            let run = match (hook.place, &mut member.source) {
                (HookPlace::Guest, Some(source)) => {
                    source.run_in_guest(hook).unwrap_or_else(|error| hooks::failed(hook, &error))
                }
                _ => self.on_host(hook, &member.resource.name),
            };
            if let (OnError::Fail, Some(failure)) = (hook.on_error, &run.failure) {
                member.fail(failed_by(&run, failure));
            }
            member.item.hooks.push(run);
        }
    }

    fn on_host(&self, hook: &Hook, name: &str) -> HookRun {
        let never = Cancel::default();
        let cancel = if hook.phase.is_owed() { &never } else { &self.options.cancel };
        hooks::run(hook, name, hooks::of(self.repository.env()), cancel)
    }

    /// The hooks that end a run, once: before the snapshot is described, or when it fails earlier.
    pub(super) fn after_run(&self, members: &mut [Member]) {
        if self.is_over.swap(true, Ordering::Relaxed) {
            return;
        }
        for family in &self.families {
            self.hooks(members, family, Phase::PostRun);
        }
    }
}

fn failed_by(run: &HookRun, failure: &str) -> String {
    format!("hook {} of {}: {failure}", run.command[0], run.phase)
}
