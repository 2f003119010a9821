CREATE TABLE state (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    changed BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE repository (
    id TEXT PRIMARY KEY,
    storage TEXT NOT NULL,
    tenant TEXT NOT NULL,
    place TEXT NOT NULL,
    engine_id TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX repository_of ON repository (storage, tenant);
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    actor TEXT NOT NULL,
    priority BIGINT NOT NULL,
    created BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    attempts BIGINT NOT NULL,
    canceling BIGINT NOT NULL,
    storage TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease BIGINT NOT NULL,
    spec TEXT NOT NULL,
    progress TEXT NOT NULL,
    cause TEXT,
    result TEXT NOT NULL
);
CREATE INDEX run_state ON run (state, not_before);
CREATE INDEX run_tenant ON run (tenant, id);
CREATE TABLE run_step (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    done BIGINT NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (run, step)
);
CREATE TABLE run_log (
    run TEXT NOT NULL,
    n BIGINT NOT NULL,
    time BIGINT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, n)
);
CREATE TABLE snapshot (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL,
    time BIGINT NOT NULL,
    is_private BIGINT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX snapshot_time ON snapshot (time, id);
CREATE INDEX snapshot_tenant ON snapshot (tenant, time, id);
CREATE INDEX snapshot_repository ON snapshot (repository);
CREATE TABLE item (
    snapshot TEXT NOT NULL,
    n BIGINT NOT NULL,
    resource TEXT NOT NULL,
    outcome TEXT NOT NULL,
    time BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (snapshot, n)
);
CREATE INDEX item_resource ON item (resource, time);
CREATE TABLE due (
    profile TEXT NOT NULL,
    period TEXT NOT NULL,
    moment BIGINT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (profile, period, moment)
);
