//! Which tables a manager's state is made of. What is not here is made again from repositories, or
//! ends with the manager: sessions, runs.

/// A column, as it stands in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
    MaybeNumber(&'static str),
}

impl Column {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) | Self::MaybeNumber(name) => name,
        }
    }
}

pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Rows that go with it.
    pub which: &'static str,
    pub order: &'static str,
}

use Column::{MaybeNumber, Number, Text};

/// The table whose `sealed` is sealed anew on the way.
pub(super) const SECRET: &str = "secret";

pub(super) const TABLES: &[Table] = &[
    Table { name: "fact", columns: &[Text("name"), Text("value")], which: "1 = 1", order: "name" },
    Table {
        name: "object",
        columns: &[
            Text("kind"),
            Text("id"),
            Text("tenant"),
            Text("name"),
            Number("version"),
            Number("created"),
            Number("changed"),
            Text("spec"),
        ],
        which: "1 = 1",
        order: "kind, id",
    },
    Table {
        name: SECRET,
        columns: &[Text("owner_kind"), Text("owner"), Text("name"), Text("sealed")],
        // Plans of restores are of this host and this moment.
        which: "owner_kind <> 'run'",
        order: "owner_kind, owner, name",
    },
    Table {
        name: "password",
        columns: &[Text("owner"), Text("hash"), Number("changed")],
        which: "1 = 1",
        order: "owner",
    },
    Table {
        name: "bearer",
        columns: &[
            Text("hash"),
            Text("id"),
            Text("owner_kind"),
            Text("owner"),
            Number("begun"),
            Number("used"),
            MaybeNumber("expires"),
            Text("address"),
        ],
        // Sessions end with the manager.
        which: "owner_kind = 'token'",
        order: "hash",
    },
    Table {
        name: "repository",
        columns: &[
            Text("id"),
            Text("storage"),
            Text("tenant"),
            Text("place"),
            Text("engine_id"),
            Number("created"),
        ],
        which: "1 = 1",
        order: "id",
    },
    Table {
        name: "due",
        columns: &[Text("profile"), Text("period"), Number("moment"), Text("run")],
        which: "1 = 1",
        order: "profile, period, moment",
    },
    Table {
        name: "audit",
        columns: &[
            Number("n"),
            Number("time"),
            Text("tenant"),
            Text("actor"),
            Text("action"),
            Text("object"),
            Text("outcome"),
            Text("detail"),
            Text("hash"),
        ],
        which: "1 = 1",
        order: "n",
    },
    Table {
        name: "audit_head",
        columns: &[Number("one"), Number("n"), Text("hash")],
        which: "1 = 1",
        order: "one",
    },
];
