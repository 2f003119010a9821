-- What changed, in the order in which it was committed: what consoles are told of.
CREATE TABLE event (
    n BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    is_private BIGINT NOT NULL,
    change TEXT NOT NULL
);
CREATE TABLE event_head (
    one BIGINT PRIMARY KEY,
    n BIGINT NOT NULL
);
INSERT INTO event_head (one, n) VALUES (1, 0);
-- Of the transaction that goes on, which takes it away: nobody else ever sees a row.
CREATE TABLE touched (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    is_private BIGINT NOT NULL,
    change TEXT NOT NULL
);
