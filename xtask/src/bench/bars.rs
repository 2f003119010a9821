//! The bars that the engine must reach, and the goals behind them, evaluated from the figures.
//! Both are printed with the figure and a plain yes, no or not measured.

use super::results::{Record, Results};
use super::sets::{Medium, Op, Set};
use super::sources::Figure;
use super::tools::{PEERS, Tool};

/// One bar with what was found.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) must: String,
    pub(super) goal: String,
    pub(super) found: String,
    /// Nothing when the figures are not there.
    pub(super) must_reached: Option<bool>,
    pub(super) goal_reached: Option<bool>,
}

pub(super) fn evaluate(results: &Results) -> Vec<Bar> {
    let view = View { results };
    let mut bars = vec![view.first_on_disk()];
    bars.push(view.times(Set::A, Medium::Memory, Op::Restore, 1.5, 2.5));
    bars.push(view.times(Set::B, Medium::Memory, Op::First, 1.7, 3.0));
    bars.push(view.stored());
    for set in [Set::B, Set::C] {
        let bar = view.times(set, Medium::Memory, Op::Unchanged, 1.0, 2.5);
        bars.push(view.against_floor(bar, set, Op::Unchanged));
    }
    bars.push(view.times(Set::C, Medium::Memory, Op::First, 2.5, 5.0));
    for set in [Set::B, Set::C] {
        let bar = view.times(set, Medium::Memory, Op::Restore, 2.0, 4.0);
        bars.push(view.against_floor(bar, set, Op::Restore));
    }
    bars.push(view.memory("peak RSS, A to C", &[Set::A, Set::B, Set::C], 250.0, 150.0));
    bars.extend(view.index());
    bars.push(view.memory("peak RSS, E", &[Set::E], 200.0, 100.0));
    bars.extend(results.figures.iter().filter(|figure| figure.must.is_some()).map(of_figure));
    bars
}

/// How many times faster than the fastest peer that was measured; more is better.
pub(super) fn ratio(results: &Results, set: Set, medium: Medium, op: Op) -> Option<f64> {
    let own = results.get(set, medium, op, Tool::Tintype.name())?.seconds();
    let peers = PEERS.iter().filter_map(|peer| results.get(set, medium, op, peer.name()));
    let fastest = peers.map(Record::seconds).min_by(f64::total_cmp)?;
    Some(fastest / own)
}

struct View<'r> {
    results: &'r Results,
}

impl View<'_> {
    fn own(&self, set: Set, medium: Medium, op: Op) -> Option<&Record> {
        self.results.get(set, medium, op, Tool::Tintype.name())
    }

    /// `must` and `goal` as multiples of the fastest peer.
    fn times(&self, set: Set, medium: Medium, op: Op, must: f64, goal: f64) -> Bar {
        let found = |peer: &Tool| self.results.get(set, medium, op, peer.name()).is_some();
        // The fastest of all is meant, not of those that happen to have run.
        let ratio = ratio(self.results, set, medium, op).filter(|_| PEERS.iter().all(found));
        // 1.0 stands for "faster than".
        let reached =
            |bar: f64| ratio.map(|found| if bar > 1.0 { found >= bar } else { found > bar });
        let words = |bar: f64| {
            if bar > 1.0 {
                format!("≥ {bar} × fastest peer")
            } else {
                "> fastest peer".to_owned()
            }
        };
        Bar {
            name: format!("{} {}", set.letter(), op.title()),
            must: words(must),
            goal: words(goal),
            found: ratio.map(|found| format!("{found:.2} ×")).unwrap_or_default(),
            must_reached: reached(must),
            goal_reached: reached(goal),
        }
    }

    fn first_on_disk(&self) -> Bar {
        let mut bar = self.times(Set::A, Medium::Disk, Op::First, 2.0, 3.5);
        bar.name.push_str(", on disk with fsync");
        bar.goal.push_str(", ≥ 1.2 GB/s");
        if let Some(own) = self.own(Set::A, Medium::Disk, Op::First) {
            let gigabytes = own.totals.bytes as f64 / 1e9 / own.seconds();
            bar.found.push_str(&format!(", {gigabytes:.2} GB/s"));
            bar.goal_reached = bar.goal_reached.map(|fast| fast && gigabytes >= 1.2);
        }
        bar
    }

    /// Adds "within 1.5 × of what the machine needs at least" to the goal.
    fn against_floor(&self, mut bar: Bar, set: Set, op: Op) -> Bar {
        bar.goal.push_str(if op == Op::Restore {
            ", ≤ 1.5 × bare creation"
        } else {
            ", ≤ 1.5 × bare walk"
        });
        let floor = self.results.floor(set);
        let floor =
            floor.map(|f| if op == Op::Restore { f.create_seconds } else { f.walk_seconds });
        if let (Some(own), Some(floor)) = (self.own(set, Medium::Memory, op), floor) {
            let multiple = own.seconds() / floor;
            bar.found.push_str(&format!(", {multiple:.2} × bare"));
            bar.goal_reached = bar.goal_reached.map(|fast| fast && multiple <= 1.5);
        }
        bar
    }

    fn stored(&self) -> Bar {
        let stored = |tool: Tool| {
            let record = self.results.get(Set::B, Medium::Memory, Op::First, tool.name())?;
            record.last(|sample| sample.stored_bytes)
        };
        let own = stored(Tool::Tintype);
        let smallest = PEERS.into_iter().filter_map(stored).min();
        let against = |other: Option<u64>| Some(own? as f64 / other? as f64);
        let restic = against(stored(Tool::Restic));
        Bar {
            name: "B stored".to_owned(),
            must: "not larger than restic's".to_owned(),
            goal: "smaller than all".to_owned(),
            found: restic.map(|found| format!("{found:.3} × restic's")).unwrap_or_default(),
            must_reached: restic.map(|found| found <= 1.0),
            goal_reached: against(smallest).map(|found| found < 1.0),
        }
    }

    fn memory(&self, name: &str, sets: &[Set], must: f64, goal: f64) -> Bar {
        let own = self.results.records.iter().filter(|r| r.tool == Tool::Tintype.name());
        let of_sets: Vec<&Record> = own.filter(|record| sets.contains(&record.set)).collect();
        let complete = sets.iter().all(|set| of_sets.iter().any(|record| record.set == *set));
        let peak = of_sets.iter().map(|record| record.peak_rss_mib()).max_by(f64::total_cmp);
        // The bars are in MB (10^6).
        let peak = peak.filter(|_| complete).map(|mib| mib * 1.048_576);
        at_most(name, "MB", peak, must, goal)
    }

    fn index(&self) -> [Bar; 2] {
        let index = self.results.index.as_ref();
        let rss = index.map(|found| found.peak_rss_kib as f64 * 1024.0 / 1e6);
        [
            at_most("F open", "s", index.map(|found| found.open_seconds), 2.0, 0.2),
            at_most("F peak RSS", "MB", rss, 300.0, 150.0),
        ]
    }
}

/// Of set P, which has no goals beyond what it must reach.
fn of_figure(figure: &Figure) -> Bar {
    Bar {
        name: format!("P {}", figure.name),
        must: figure.bar(),
        goal: String::new(),
        found: figure.found(),
        must_reached: figure.reached(),
        goal_reached: None,
    }
}

fn at_most(name: &str, unit: &str, found: Option<f64>, must: f64, goal: f64) -> Bar {
    Bar {
        name: name.to_owned(),
        must: format!("≤ {must} {unit}"),
        goal: format!("≤ {goal} {unit}"),
        found: found.map(|value| format!("{value:.1} {unit}")).unwrap_or_default(),
        must_reached: found.map(|value| value <= must),
        goal_reached: found.map(|value| value <= goal),
    }
}
