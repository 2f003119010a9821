//! MariaDB: one database among others, by its dump.

use serde_json::json;
use tintype_model::resource::{Kind, Resource};
use tintype_testkit::mariadb::{MariaDb, client};

use super::super::world::as_new;
use crate::conformance::{AsNew, Held, World, resource, sources_conform, targets_conform};

struct MariaDbWorld(MariaDb);

const BOTH: &str = "SELECT a.n, b.n FROM a, b";

fn number_of(row: &str) -> u64 {
    let (a, b) = row.split_once('\t').unwrap();
    assert_eq!(a, b, "torn");
    a.parse().unwrap()
}

impl MariaDbWorld {
    fn new() -> Self {
        let world = Self(MariaDb::start());
        world.write(0);
        world
    }

    fn is_there(&self) -> bool {
        !self.0.sql("", "SHOW DATABASES LIKE 'shop'").is_empty()
    }
}

impl World for MariaDbWorld {
    fn resource(&self) -> Resource {
        let at = [("socket", json!(self.0.socket)), ("databases", json!(["shop"]))];
        resource(Kind::Database, "shop", "mariadb", &at)
    }

    fn write(&self, number: u64) {
        if !self.is_there() {
            self.0.sql("", "CREATE DATABASE shop");
            for table in ["a", "b"] {
                self.0.sql("shop", &format!("CREATE TABLE {table}(n BIGINT) ENGINE=InnoDB"));
                self.0.sql("shop", &format!("INSERT INTO {table} VALUES(0)"));
            }
        }
        let both = format!("BEGIN; UPDATE a SET n = {number}; UPDATE b SET n = {number}; COMMIT");
        self.0.sql("shop", &both);
    }

    fn now(&self) -> u64 {
        number_of(&self.0.sql("shop", BOTH))
    }

    fn captured(&self, held: &Held) -> u64 {
        let dump = std::fs::read_to_string(held.path(b"databases/shop.sql")).unwrap();
        let number = |table: &str| {
            let rows = dump.split_once(&format!("INSERT INTO `{table}` VALUES")).unwrap().1;
            rows.split_once('(').unwrap().1.split_once(')').unwrap().0.to_owned()
        };
        number_of(&format!("{}\t{}", number("a"), number("b")))
    }

    fn state(&self) -> String {
        self.0.sql("shop", BOTH)
    }

    fn leftovers(&self) -> Vec<String> {
        let names = self.0.sql(
            "",
            "SELECT schema_name, schema_comment FROM information_schema.schemata \
             WHERE CONCAT(schema_name, schema_comment) LIKE '%tintype%'",
        );
        names.lines().map(str::to_owned).collect()
    }

    fn make_way(&self) -> bool {
        let users = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'shop'";
        while self.0.sql("", users) != "0" {}
        true
    }

    fn as_new(&self) -> Option<AsNew> {
        let socket = self.0.socket.clone();
        let at = json!({ "socket": socket, "databases": ["shop"] });
        let destination = as_new(&at, &[("database.shop", "copy")]);
        let now = move || {
            let said = client(&socket).args(["--database=copy", "-e", BOTH]).output().unwrap();
            number_of(String::from_utf8(said.stdout).unwrap().trim())
        };
        Some(AsNew { destination, now: Box::new(now) })
    }
}

#[test]
fn mariadb() {
    let world = MariaDbWorld::new();
    sources_conform(&world);
    targets_conform(&world);
}
