//! A network's definition.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tintype_model::Result;
use tintype_model::resource::Consistency;

use super::at::At;
use super::virsh::Virsh;
use super::xml::{parse, text};
use crate::connector::{CapturePlan, Context, Part, Released, Source, View};

pub(crate) const DEFINITION: &str = "network.xml";

/// What a restore must know of a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkFacts {
    pub uuid: Option<String>,
    pub active: bool,
    pub autostart: bool,
}

pub(crate) struct NetworkSource {
    name: String,
    virsh: Virsh,
    definition: String,
    facts: NetworkFacts,
}

impl NetworkSource {
    pub(crate) fn new(at: &At, context: &Context) -> Result<Self> {
        let (name, virsh) = (at.network()?.to_owned(), Virsh::new(&at.uri, context));
        Ok(Self { name, virsh, definition: String::new(), facts: NetworkFacts::default() })
    }
}

/// Definition and state of a network.
pub(crate) fn look(virsh: &Virsh, name: &str) -> Result<(String, NetworkFacts)> {
    let definition = virsh.call(&["net-dumpxml", name, "--inactive"])?;
    let said = virsh.call(&["net-info", name])?;
    let says = |field: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(field));
        line.is_some_and(|value| value.trim() == "yes")
    };
    let (active, autostart) = (says("Active:"), says("Autostart:"));
    let uuid = text(&parse(&definition)?, &["uuid"]);
    Ok((definition, NetworkFacts { uuid, active, autostart }))
}

impl Source for NetworkSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        look(&self.virsh, &self.name)?;
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes: None })
    }

    fn prepare(&mut self, _mark: Option<&Value>) -> Result<()> {
        Ok(())
    }

    /// A definition is small, and whole at any moment.
    fn freeze(&mut self) -> Result<()> {
        (self.definition, self.facts) = look(&self.virsh, &self.name)?;
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        Ok(View {
            parts: vec![Part::object(DEFINITION, self.definition.clone())],
            consistency: Consistency::Application,
            why_not_more: None,
            mark: None,
            facts: serde_json::to_value(&self.facts).unwrap_or_default(),
            version: None,
        })
    }

    fn release(&mut self, _released: Released) -> Result<()> {
        Ok(())
    }
}
