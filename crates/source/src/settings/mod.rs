//! `settings`: what makes a host what it is, beside its data: named paths, the units that are
//! enabled, the packages that are installed, the configuration of its network. Read live.
//!
//! Nothing of it is put back over a running host: it is restored as plain files, of which an
//! administrator takes what is wanted.

mod lists;
mod paths;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tintype_model::resource::{Consistency, Kind, Resource};
use tintype_model::{Error, Result};

use crate::connector::{
    CapturePlan, Changed, Connector, Content, Context, Discovered, Part, Released, Source, Target,
    View,
};
use crate::host::NotPutBack;

/// See the module's head.
#[derive(Debug)]
pub struct Settings;

const NAME: &str = "settings";
const WHY: &str = "files are read while others write; settings seldom change";

/// What is captured.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct At {
    /// Absolute paths of files and directories. If one is missing, the snapshot holds the others and
    /// is incomplete. Links on the way are followed: what lies below one is stored under its real
    /// path, by which `excludes` know it.
    #[serde(default)]
    paths: Vec<PathBuf>,
    /// The list of installed packages, as `packages.txt`.
    #[serde(default = "yes")]
    packages: bool,
    /// The units that are enabled, as `units.txt`.
    #[serde(default = "yes")]
    units: bool,
}

fn yes() -> bool {
    true
}

impl At {
    fn of(resource: &Resource) -> Result<Self> {
        let at: Self = serde_json::from_value(Value::Object(resource.at.clone()))
            .map_err(|error| Error::invalid(format!("settings {}: at: {error}", resource.name)))?;
        match at.paths.iter().find(|path| !path.is_absolute() || paths::is_unusual(path)) {
            None => Ok(at),
            Some(path) => Err(Error::invalid(format!(
                "settings {}: {}: no plain absolute path",
                resource.name,
                path.display()
            ))),
        }
    }
}

impl Connector for Settings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(At).to_value()
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        let present = paths::usual();
        let mut at = Map::new();
        at.insert("paths".into(), json!(present));
        let resource = Resource {
            kind: Kind::Settings,
            name: "host".into(),
            connector: NAME.into(),
            at,
            tags: Vec::new(),
            version: None,
            consistency: None,
            hooks: Vec::new(),
            excludes: Vec::new(),
            components: Vec::new(),
        };
        let (reaches, why_not_more) = (Consistency::None, Some(WHY.into()));
        Ok(vec![Discovered { resource, reaches, why_not_more }])
    }

    fn check(&self, resource: &Resource) -> Result<()> {
        At::of(resource).map(drop)
    }

    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>> {
        let (at, context) = (At::of(resource)?, context.clone());
        let excludes = resource.excludes.clone();
        let (name, missing) = (resource.name.clone(), Vec::new());
        Ok(Box::new(Live { name, at, excludes, context, missing }))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(NotPutBack {
            check: NAME,
            why: |name| format!("the settings {name} are not put over a running host"),
            cure: "restore them to a directory (`--to DIR`), and take from there what you want",
        }))
    }
}

struct Live {
    name: String,
    at: At,
    excludes: Vec<String>,
    context: Context,
    missing: Vec<PathBuf>,
}

impl Source for Live {
    fn plan(&mut self) -> Result<CapturePlan> {
        let (reaches, why_not_more) = (Consistency::None, Some(WHY.into()));
        Ok(CapturePlan { reaches, why_not_more, freezes: None })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let (mut present, mut missing, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.at.paths {
            let Some(real) = paths::real(path) else {
                missing.push(path.clone());
                continue;
            };
            if real != *path {
                elsewhere.push(format!("{} is stored as {}", path.display(), real.display()));
            }
            present.push(real);
        }
        self.missing.clone_from(&missing);
        let whys = std::iter::once(WHY.to_owned()).chain(elsewhere);
        let why_not_more = Some(whys.collect::<Vec<_>>().join("; "));
        let excludes = paths::only(&present, &self.excludes)
            .map_err(|error| error.context(format_args!("settings {}", self.name)))?;
        let content = Content::Files {
            root: PathBuf::from("/"),
            excludes: Arc::new(excludes),
            one_file_system: false,
            never_enter: Vec::new(),
            grafts: Vec::new(),
            changed: Changed::Unknown,
        };
        let mut parts = vec![Part { at: b"files".to_vec(), content }];
        let mut facts = json!({ "paths": present, "missing": missing });
        if self.at.packages {
            // Not every host has a package manager that is known.
            let (manager, list) = lists::packages(&self.context);
            facts["packages"] = manager.into();
            parts.push(Part::object("packages.txt", list));
        }
        if self.at.units {
            parts.push(Part::object("units.txt", lists::units()));
        }
        Ok(View {
            parts,
            consistency: Consistency::None,
            why_not_more,
            mark: None,
            facts,
            version: None,
        })
    }

    fn missing(&self) -> Vec<String> {
        let there_is_no = |path: &PathBuf| format!("there is no {}", path.display());
        self.missing.iter().map(there_is_no).collect()
    }

    fn release(&mut self, _: Released) -> Result<()> {
        Ok(())
    }
}
