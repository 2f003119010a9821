//! What is asked of everything at once.

use tintype_model::Result;

use crate::change::ChangesQuery;
use crate::client::{Client, with_query};
use crate::content::{AcrossQuery, Sightings};
use crate::events::Events;
use crate::page::Page;
use crate::restore::WholeRestore;
use crate::status::{Days, DaysQuery, Standing, StandingsQuery};

impl Client {
    /// How resources stand, the worst first.
    pub fn standings(&self, query: &StandingsQuery) -> Result<Page<Standing>> {
        self.get(&with_query("/status/resources", query)?)
    }

    pub fn days(&self, query: &DaysQuery) -> Result<Days> {
        self.get(&with_query("/status/days", query)?)
    }

    /// Names in all snapshots of a tenant.
    pub fn search_all(&self, query: &AcrossQuery) -> Result<Sightings> {
        self.get(&with_query("/search", query)?)
    }

    /// How all of a snapshot is restored, the manager with it.
    pub fn whole_restore(&self, snapshot: &str) -> Result<WholeRestore> {
        self.get(&format!("/snapshots/{snapshot}/recovery"))
    }

    /// What changes, of whatever may be seen.
    pub fn changes(&self, query: &ChangesQuery) -> Result<Events> {
        self.events(&with_query("/events", query)?)
    }
}
