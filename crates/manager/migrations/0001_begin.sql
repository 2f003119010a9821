CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE object (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX object_name ON object (kind, tenant, name);
CREATE UNIQUE INDEX object_tenant ON object (name) WHERE kind = 'tenant';
CREATE TABLE secret (
    owner_kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (owner_kind, owner, name)
);
CREATE TABLE password (
    owner TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE TABLE bearer (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    begun BIGINT NOT NULL,
    used BIGINT NOT NULL,
    expires BIGINT,
    address TEXT NOT NULL
);
CREATE UNIQUE INDEX bearer_id ON bearer (id);
CREATE INDEX bearer_owner ON bearer (owner);
CREATE TABLE audit (
    n BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, n);
CREATE TABLE audit_head (
    one BIGINT PRIMARY KEY,
    n BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (one, n, hash) VALUES (1, 0, '');
