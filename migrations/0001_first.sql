-- Times are milliseconds since 1970 (BIGINT); ids are UUIDs as TEXT; JSON is TEXT. The same text is
-- meant to run on PostgreSQL.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The inbox: every webhook, as received. Written by the door, worked off by intake.
CREATE TABLE deliveries (
    guid        TEXT PRIMARY KEY,
    event       TEXT NOT NULL,
    body        BLOB NOT NULL,
    received_at BIGINT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('new', 'done', 'unreadable')),
    attempts    BIGINT NOT NULL DEFAULT 0,
    not_before  BIGINT NOT NULL DEFAULT 0,
    note        TEXT
);
CREATE INDEX deliveries_new ON deliveries (received_at) WHERE state = 'new';

CREATE TABLE stories (
    id            TEXT PRIMARY KEY,
    repo          TEXT NOT NULL,
    repo_key      TEXT NOT NULL,
    issue         BIGINT NOT NULL,
    title         TEXT NOT NULL,
    installation  BIGINT,
    base_branch   TEXT NOT NULL,
    branch        TEXT NOT NULL,
    base          TEXT,
    remote_head   TEXT,
    session_agent TEXT,
    session_id    TEXT,
    pull          BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (repo_key, issue)
);
CREATE INDEX stories_by_pull ON stories (repo_key, pull) WHERE pull IS NOT NULL;

-- The queue. A delivery makes at most one task, whatever happens.
CREATE TABLE tasks (
    id          TEXT PRIMARY KEY,
    story       TEXT NOT NULL REFERENCES stories (id),
    delivery    TEXT NOT NULL UNIQUE,
    ask         TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('queued', 'running', 'publishing', 'blocked', 'done', 'failed', 'cancelled')),
    turn        TEXT NOT NULL,
    retries     BIGINT NOT NULL DEFAULT 0,
    not_before  BIGINT NOT NULL DEFAULT 0,
    fence       BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL DEFAULT 0,
    failure     TEXT,
    -- Who wants the task stopped. Its worker sees to it.
    stop_by     TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX tasks_open ON tasks (created_at) WHERE state IN ('queued', 'running', 'publishing');
-- One task of a story at a time: one workspace, one container.
CREATE UNIQUE INDEX tasks_one_at_a_time ON tasks (story) WHERE state IN ('running', 'publishing', 'blocked');

CREATE TABLE runs (
    id         TEXT PRIMARY KEY,
    task       TEXT NOT NULL REFERENCES tasks (id),
    turn       TEXT NOT NULL,
    agent      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT,
    -- How it ended (JSON): outcome, cost, turns, duration, exit code. Null while it has not.
    ended      TEXT
);
CREATE INDEX runs_by_task ON runs (task, created_at);

CREATE TABLE questions (
    id          TEXT PRIMARY KEY,
    story       TEXT NOT NULL REFERENCES stories (id),
    task        TEXT NOT NULL REFERENCES tasks (id),
    question    TEXT NOT NULL,
    comment     BIGINT,
    answer      TEXT,
    answered_by TEXT,
    delivery    TEXT UNIQUE,
    asked_at    BIGINT NOT NULL,
    answered_at BIGINT
);
CREATE INDEX questions_by_story ON questions (story, asked_at);

-- The outbox: every effect on GitHub, written in the transaction that wants it.
CREATE TABLE effects (
    id         TEXT PRIMARY KEY,
    story      TEXT NOT NULL REFERENCES stories (id),
    effect     TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('wanted', 'done', 'parked')),
    attempts   BIGINT NOT NULL DEFAULT 0,
    not_before BIGINT NOT NULL DEFAULT 0,
    error      TEXT,
    created_at BIGINT NOT NULL,
    done_at    BIGINT
);
-- Ids of effects are UUIDs of version 7, so they sort in the order in which they were wanted.
CREATE INDEX effects_wanted ON effects (story, id) WHERE state = 'wanted';
