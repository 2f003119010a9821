-- Answers to requests that may be sent a second time, for a day.
CREATE TABLE answer (
    name TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    time BIGINT NOT NULL,
    status BIGINT NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX answer_time ON answer (time);
