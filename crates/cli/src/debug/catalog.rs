//! `tintype debug fill-catalog`: a catalog as large as a big installation's, written by the same code
//! that a manager writes it with.

use anyhow::Context as _;
use jiff::SignedDuration;
use serde_json::json;
use tintype_api::snapshot::{Snapshot, SnapshotItem};
use tintype_api::storage::StorageSpec;
use tintype_api::tenant::TenantSpec;
use tintype_manager::catalog::objects::Filter;
use tintype_manager::catalog::snapshots;
use tintype_manager::serve;
use tintype_manager::state::State;
use tintype_model::identifier::Id;

use crate::serve::Own;

/// Of one change of the catalog.
const AT_ONCE: u64 = 500;
/// Between two snapshots.
const APART: SignedDuration = SignedDuration::from_secs(300);
const MOST: i64 = 1000;

#[derive(clap::Args)]
pub(super) struct Fill {
    #[command(flatten)]
    own: Own,
    /// How many snapshots, spread over all tenants
    #[arg(long)]
    snapshots: u64,
    /// Items of each
    #[arg(long, default_value_t = 10)]
    items: u64,
}

/// What snapshots are of.
struct Stock {
    tenants: Vec<Id>,
    storage: Id,
    repository: Id,
    resources: Vec<Id>,
}

impl Fill {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (count, items) = (self.snapshots, self.items);
        let options = self.own.options()?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
        runtime.block_on(async {
            let _alone = serve::alone(&options.data)?;
            let (state, _) = serve::open(&options).await?;
            let stock = Stock::of(&state).await?;
            let mut made = 0;
            while made < count {
                let mut change = state.catalog.change().await?;
                for n in made..count.min(made + AT_ONCE) {
                    let (snapshot, items) = stock.snapshot(&state, n, items)?;
                    snapshots::put(change.on(), &stock.repository, &snapshot, Some(&items)).await?;
                }
                change.commit_own_books().await?;
                made = count.min(made + AT_ONCE);
            }
            state.catalog.close().await;
            println!("{}", json!({ "snapshots": count, "items": count * items }));
            anyhow::Ok(())
        })
    }
}

impl Stock {
    async fn of(state: &State) -> anyhow::Result<Self> {
        let all = Filter { limit: MOST, ..Filter::default() };
        let tenants = state.catalog.list::<TenantSpec>(&all).await?;
        let storages = state.catalog.list::<StorageSpec>(&all).await?;
        Ok(Self {
            tenants: tenants.into_iter().map(|tenant| tenant.id).collect(),
            storage: storages.into_iter().next().context("there is no storage")?.id,
            repository: state.new_id(),
            resources: (0..100).map(|_| state.new_id()).collect(),
        })
    }

    fn snapshot(
        &self,
        state: &State,
        n: u64,
        items: u64,
    ) -> anyhow::Result<(Snapshot, Vec<SnapshotItem>)> {
        let tenant = &self.tenants[n as usize % self.tenants.len()];
        let time = state.now() - APART * i32::try_from(n).context("so many there never are")?;
        let id = blake3::hash(format!("{} {n}", self.repository).as_bytes()).to_hex();
        let snapshot = serde_json::from_value(json!({
            "id": &id[..32], "tenant": tenant, "storage": self.storage, "scope": "partial",
            "trigger": "schedule", "name": "nightly daily", "time": time, "by": "profile nightly",
            "is_complete": true, "entries": 1000 + n, "bytes": n << 20, "stored_bytes": n << 12,
            "expiry": time + SignedDuration::from_hours(24 * 365), "run": state.new_id(),
            "profile": self.repository, "period": "daily", "captured": items, "failed": 0,
            "skipped": 0,
        }))?;
        let item = |k: u64| {
            let resource = &self.resources[(n + k) as usize % self.resources.len()];
            serde_json::from_value(json!({
                "resource": resource, "name": format!("volume-{k}"), "kind": "volume",
                "outcome": "captured", "consistency": "crash", "entries": 100 + k,
                "bytes": n << 17, "problems": 0, "frozen_seconds": 0.004,
                "place": format!("tenants/t{}/volumes/volume-{k}", n as usize % self.tenants.len()),
            }))
        };
        Ok((snapshot, (0..items).map(item).collect::<Result<_, _>>()?))
    }
}
