//! Restore of machines and networks of libvirt.

mod machine;
mod network;
mod renew;
mod shared;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::{Kind, Resource};
use tintype_model::{Error, ErrorKind, Result};

use super::at;
use super::domain::{Domain, autostarts};
use super::virsh::Virsh;
use super::xml::{parse, text};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan, action};
use crate::vm::draft::Draft;
use crate::vm::steps::FileStep;

/// Of what a start gives: whether it was this one that started it.
const IS_STARTED: &str = "started";
const DEFINITION_BYTES: u64 = 8 << 20;

pub(crate) struct LibvirtTarget {
    pub(crate) context: Context,
}

/// What steps do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Action {
    File(FileStep),
    Libvirt(LibvirtStep),
}

/// `what`: `domain` or `network`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
enum LibvirtStep {
    /// `before`: the definition that is there now, if one is.
    Define {
        uri: String,
        what: What,
        name: String,
        xml: String,
        before: Option<String>,
    },
    Start {
        uri: String,
        what: What,
        name: String,
    },
    /// It is started with the host.
    Autostart {
        uri: String,
        what: What,
        name: String,
    },
    /// The agent answers.
    Health {
        uri: String,
        name: String,
    },
    /// The network is defined, and runs if it did.
    NetworkHealth {
        uri: String,
        name: String,
        active: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Domain,
    Network,
}

impl What {
    fn verb(self, verb: &'static str) -> String {
        match self {
            // The one verb that names its kind.
            Self::Domain if verb == "info" => "dominfo".to_owned(),
            Self::Domain => verb.to_owned(),
            Self::Network => format!("net-{verb}"),
        }
    }
}

impl Target for LibvirtTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        let mut plan = Plan { item, draft: Draft::new(&self.context, stored) };
        let at = match destination {
            Destination::InPlace => &resource.at,
            Destination::AsNew { at, .. } => at,
        };
        let planned = match reached(&at::At::parse(at)?.uri, &self.context)? {
            Some(refused) => {
                // Nothing else can be looked at.
                plan.check(refused);
                Ok(())
            }
            None if item.kind == Kind::Network => network::plan(&mut plan, resource, destination),
            None => machine::plan(&mut plan, resource, destination),
        };
        planned.map_err(|error| error.context(format!("{} {}", item.kind, item.name)))?;
        Ok(plan.draft.finish())
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        match action::<Action>(step)? {
            Action::File(file) => file.apply(stored, &self.context),
            Action::Libvirt(libvirt) => libvirt.apply(&self.context),
        }
    }

    fn undo(&mut self, step: &Step, done: &Value) -> Result<Value> {
        match action::<Action>(step)? {
            Action::File(file) => return file.undo(&self.context),
            Action::Libvirt(libvirt) => libvirt.undo(done, &self.context),
        }
        .map(|()| Value::Null)
    }
}

impl LibvirtStep {
    fn apply(&self, context: &Context) -> Result<Value> {
        match self {
            Self::Define { uri, what, name, xml, .. } => {
                let virsh = Virsh::new(uri, context);
                still_off(&virsh, *what, name)?;
                if *what == What::Domain {
                    machine::not_saved(&virsh, name)?;
                }
                define(&virsh, *what, xml, context)?;
                Ok(Value::Null)
            }
            Self::Start { uri, what, name } => {
                let virsh = Virsh::new(uri, context);
                let started = virsh.call_within(&[&what.verb("start"), name], machine::START);
                let is_started = match started {
                    Err(error) if error.message().contains("already active") => false,
                    result => result.map(|_| true)?,
                };
                Ok(json!({ IS_STARTED: is_started }))
            }
            Self::Autostart { uri, what, name } => {
                let virsh = Virsh::new(uri, context);
                let is_new = !autostarts(&virsh, &what.verb("info"), name)?;
                if is_new {
                    virsh.call(&[&what.verb("autostart"), name])?;
                }
                Ok(json!({ IS_STARTED: is_new }))
            }
            Self::Health { uri, name } => {
                machine::wait_for_agent(uri, name, context).map(|()| Value::Null)
            }
            Self::NetworkHealth { uri, name, active } => {
                network::check(uri, name, *active, context).map(|()| Value::Null)
            }
        }
    }

    fn undo(&self, done: &Value, context: &Context) -> Result<()> {
        match self {
            Self::Define { uri, what, name, xml, before } => {
                let virsh = Virsh::stubborn(uri, context);
                // Another may have taken the name.
                let id = text(&parse(xml)?, &["uuid"]).unwrap_or_else(|| name.clone());
                still_off(&virsh, *what, &id)?;
                match before {
                    Some(before) => define(&virsh, *what, before, context),
                    None => undefine(&virsh, *what, &id),
                }
            }
            // What somebody else started goes on.
            Self::Start { .. } if done[IS_STARTED] == false => Ok(()),
            // Nor is it known of one that was interrupted who made it start with the host.
            Self::Autostart { .. } if done[IS_STARTED] != true => Ok(()),
            Self::Autostart { uri, what, name } => {
                let virsh = Virsh::stubborn(uri, context);
                match virsh.call(&[&what.verb("autostart"), name, "--disable"]) {
                    Err(error) if is_not_there(&error) => Ok(()),
                    result => result.map(drop),
                }
            }
            Self::Start { uri, what, name } => {
                let virsh = Virsh::stubborn(uri, context);
                match virsh.call(&[&what.verb("destroy"), name]) {
                    Err(error) if is_not_there(&error) => Ok(()),
                    result => result.map(drop),
                }
            }
            Self::Health { .. } | Self::NetworkHealth { .. } => Ok(()),
        }
    }
}

fn define(virsh: &Virsh, what: What, xml: &str, context: &Context) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    // It may hold passwords.
    let file = context.scratch.join(format!("{}-definition.xml", context.label()));
    let mut options = std::fs::File::options();
    let made = options.create(true).truncate(true).write(true).mode(0o600).open(&file);
    made.and_then(|mut made| made.write_all(xml.as_bytes()))
        .map_err(|error| Error::io(error, file.display()))?;
    let defined = virsh.call(&[&what.verb("define"), &file.display().to_string()]);
    let _ = std::fs::remove_file(&file);
    defined.map(drop)
}

/// A machine that somebody started since the plan was made is not defined anew.
fn still_off(virsh: &Virsh, what: What, id: &str) -> Result<()> {
    let domain = match what {
        What::Domain => Domain::look(virsh, id),
        What::Network => return Ok(()),
    };
    match domain {
        Err(error) if is_not_there(&error) => Ok(()),
        Ok(domain) if !domain.is_off() => Err(Error::locked(format!(
            "the machine {} was started meanwhile: shut it down (virsh shutdown), then go on, or \
             back",
            domain.name
        ))),
        looked => looked.map(drop),
    }
}

/// `id`: its uuid, or its name.
fn undefine(virsh: &Virsh, what: What, id: &str) -> Result<()> {
    let verb = what.verb("undefine");
    let mut words = vec![&verb[..], id];
    if what == What::Domain {
        words.extend(["--snapshots-metadata", "--checkpoints-metadata", "--keep-nvram"]);
    }
    match virsh.call(&words) {
        Err(error) if is_not_there(&error) => Ok(()),
        result => result.map(drop),
    }
}

fn is_not_there(error: &Error) -> bool {
    error.is(ErrorKind::NotFound)
        || error.message().contains("is not running")
        || error.message().contains("not active")
}

/// Who may speak to libvirt may define; why not, if it does not let us.
fn reached(uri: &str, context: &Context) -> Result<Option<Check>> {
    match Virsh::new(uri, context).call(&["uri"]) {
        Err(error) if error.is(ErrorKind::Canceled) => Err(error),
        Err(error) => {
            let reason = format!("libvirt at {uri} lets nothing be defined: {error}");
            let cure = "see that libvirtd runs, and run this as root, or as a user whom it lets \
                        manage machines (group `libvirt`)";
            Ok(Some(Check::block("permissions", reason, cure)))
        }
        Ok(_) => Ok(None),
    }
}

struct Plan<'a> {
    item: &'a Item,
    draft: Draft<'a>,
}

impl Plan<'_> {
    fn check(&mut self, check: Check) {
        self.draft.check(check);
    }

    fn libvirt(&mut self, stage: Stage, text: impl Into<String>, action: LibvirtStep) {
        self.draft.step(stage, text, &action);
    }

    fn definition(&self, at: &str) -> Result<String> {
        let bytes = self.draft.stored.object(at.as_bytes(), DEFINITION_BYTES)?;
        String::from_utf8(bytes).map_err(|error| Error::invalid(format!("{at}: {error}")))
    }
}
