//! A newer program starts on what an older one left.

use serde_json::json;
use tintype_api::page::Page;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{Snapshot, SnapshotScope, Trigger};
use tintype_manager::catalog::rows::{Row, Table};
use tintype_manager::catalog::{VERSION, remake};
use tintype_manager::lost::copy::{self, Why};
use tintype_manager::lost::recover::Onto;
use tintype_manager::serve;
use tintype_model::ErrorKind;

use crate::lab::{Lab, PASSWORD};
use crate::lost::{elsewhere, recover, vault_and_words, wanted};
use crate::snapshots::{ended, partial, taken, volume};

/// The first version that had runs and snapshots.
pub(crate) const EARLIER: i64 = 2;

/// Makes the catalog of a stopped manager one of an earlier program, with all that it then had.
pub(crate) fn downgraded(lab: &mut Lab, version: i64) {
    let state = lab.stopped_state();
    lab.block_on(async {
        let mut change = state.catalog.change().await.unwrap();
        let mut all: Vec<(&str, Vec<Row>)> = Vec::new();
        for name in remake::tables() {
            let table = Table::of(change.on(), name).await.unwrap().unwrap();
            let mut rows = Vec::new();
            let mut take = |row| {
                rows.push(row);
                Ok(())
            };
            table.each(change.on(), &mut take).await.unwrap();
            all.push((name, rows));
        }
        remake::begin_anew(change.on(), version).await.unwrap();
        for (name, rows) in all {
            let Some(table) = Table::of(change.on(), name).await.unwrap() else { continue };
            table.empty(change.on()).await.unwrap();
            for mut row in rows {
                row.retain(|column, _| table.has(column));
                table.insert(change.on(), &row).await.unwrap();
            }
        }
        change.commit_untold().await.unwrap();
        assert_eq!(state.catalog.version().await.unwrap(), Some(version));
        state.catalog.close().await;
    });
}

#[test]
fn a_newer_program_copies_what_it_brings_up_to_date() {
    Lab::on_each_owned(|mut lab| {
        let client = lab.administrator();
        elsewhere(&lab, &client);
        Lab::tenant(&client, "acme");
        volume(&client, "files", &lab.data().join("files"));
        taken(&client, &partial(&["files"]));
        downgraded(&mut lab, EARLIER);
        let mut lab = lab.restarted().unwrap();
        let client = lab.login("system", "admin", PASSWORD).unwrap();
        let kept = copy::list(&lab.options().data).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].head.why, kept[0].head.version), (Why::Upgrade, EARLIER));
        // And in the storage.
        let runs: Page<Run> = client.get("/runs?kind=snapshot").unwrap();
        assert_eq!(ended(&client, &runs.items[0]).state, RunState::Succeeded);
        let all: Page<Snapshot> = client.get("/snapshots").unwrap();
        let taken = &all.items[0];
        assert_eq!((taken.scope, taken.trigger), (SnapshotScope::Manager, Trigger::PreUpgrade));
        assert!(client.check_audit().unwrap().is_whole);
        Lab::tenant(&client, "later");
        // Out of the storage, onto this program.
        let (place, words) = vault_and_words(&mut lab);
        assert!(!copy::list(&lab.options().data).unwrap()[0].is_due(), "it is sent once");
        let mut elsewhere = lab.options();
        (elsewhere.data, elsewhere.database) = (lab.data().join("second"), None);
        let recovered = recover(&lab, wanted(&place, &words, Onto::Clean), &elsewhere).unwrap();
        assert_eq!((recovered.snapshot, recovered.tenants), (taken.id.clone(), 2));
        // And in place: as the older program left it.
        lab.block_on(async {
            copy::bring_back(&lab.options(), &kept[0].name).await.unwrap();
            let catalog = serve::as_it_stands(&lab.options()).await.unwrap();
            assert_eq!(catalog.version().await.unwrap(), Some(EARLIER));
            let mut on = catalog.read().await.unwrap();
            let mut tenants = Vec::new();
            let mut take = |row: Row| {
                tenants.extend((row["kind"] == "tenant").then(|| row["name"].clone()));
                Ok(())
            };
            let objects = Table::of(&mut on, "object").await.unwrap().unwrap();
            objects.each(&mut on, &mut take).await.unwrap();
            assert_eq!(tenants, [json!("system"), json!("acme")]);
            drop(on);
            catalog.close().await;
        });
    });
}

/// It starts all the same: each step up is a transaction.
#[test]
fn a_copy_that_cannot_be_taken_stops_nobody() {
    let mut lab = Lab::sqlite();
    lab.administrator();
    downgraded(&mut lab, EARLIER);
    std::fs::write(lab.data().join("data/undo"), "in the way").unwrap();
    let (state, _) = lab.block_on(serve::open(&lab.options())).unwrap();
    assert_eq!(lab.block_on(state.catalog.version()).unwrap(), Some(VERSION));
}

#[test]
fn a_catalog_of_a_newer_program_is_refused() {
    Lab::on_each_owned(|mut lab| {
        let state = lab.stopped_state();
        lab.block_on(async {
            let mut change = state.catalog.change().await.unwrap();
            let query = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, \
                 checksum, execution_time) SELECT 1000, description, installed_on, success, checksum, \
                 execution_time FROM _sqlx_migrations WHERE version = 1";
            sqlx::query(query).execute(change.on()).await.unwrap();
            change.commit_own_books().await.unwrap();
            state.catalog.close().await;
        });
        let Err(refused) = lab.block_on(serve::open(&lab.options())) else { panic!("it opened") };
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        assert!(refused.message().contains("newer version of Tintype"), "{refused}");
    });
}
