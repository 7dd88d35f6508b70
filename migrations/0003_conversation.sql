-- The status comment of a story, made by an effect and changed in place. `status_wanted` counts what there is to show, and
-- `status_shown` is the count that was shown last.
ALTER TABLE stories ADD COLUMN status_effect TEXT;
ALTER TABLE stories ADD COLUMN status_comment BIGINT;
ALTER TABLE stories ADD COLUMN status_wanted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stories ADD COLUMN status_shown BIGINT NOT NULL DEFAULT 0;
-- When it is changed next at the earliest, and how often GitHub did not take the change.
ALTER TABLE stories ADD COLUMN status_not_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stories ADD COLUMN status_tries BIGINT NOT NULL DEFAULT 0;
-- The label of hob's that says where the story stands, as it was put on last.
ALTER TABLE stories ADD COLUMN state_label TEXT;
CREATE INDEX stories_to_show ON stories (status_not_before) WHERE status_wanted <> status_shown;
-- Why the story is over, where something beyond its tasks has ended it: `closed`, `deleted`, `transferred`, `locked`.
ALTER TABLE stories ADD COLUMN ended TEXT;
-- What people are told about the end of a task (Markdown; `{pull}` stands for the pull request's number).
ALTER TABLE tasks ADD COLUMN words TEXT;

-- What a run tells of itself while it goes on: the agent's last line and its own list of things to do (JSON).
ALTER TABLE runs ADD COLUMN said TEXT;
ALTER TABLE runs ADD COLUMN todo TEXT;

-- What people said on an issue while an agent worked on it. `wanted`: to be told to the agent; `told`: it was, in the run
-- named; `next`: it is, or becomes, the text of the task named; `dropped`: the work was stopped.
CREATE TABLE messages (
    id       TEXT PRIMARY KEY,
    story    TEXT NOT NULL REFERENCES stories (id),
    delivery TEXT NOT NULL UNIQUE,
    text     TEXT NOT NULL,
    said_by  TEXT NOT NULL,
    by_id    BIGINT,
    comment  BIGINT NOT NULL,
    said_at  BIGINT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('wanted', 'told', 'next', 'dropped')),
    run      TEXT,
    task     TEXT,
    seq      BIGINT NOT NULL
);
CREATE INDEX messages_by_story ON messages (story, seq);
-- Whether nothing more is told to the agent of a run.
ALTER TABLE runs ADD COLUMN input_ended BIGINT NOT NULL DEFAULT 0;
-- Question cards. Where a question is asked, if not on the issue; when its default is taken; when people were reminded.
ALTER TABLE questions ADD COLUMN asked_on BIGINT;
ALTER TABLE questions ADD COLUMN deadline_at BIGINT;
ALTER TABLE questions ADD COLUMN reminded_at BIGINT;
-- The answer to each part of a question, the first of which is 0. An empty `answered_by`: nobody answered, and the default was
-- taken. `shown_at` is when the card said so, by GitHub's clock. `questions.answer` is set once all parts are answered.
CREATE TABLE answers (
    question    TEXT NOT NULL REFERENCES questions (id),
    part        BIGINT NOT NULL,
    answer      TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    answered_at BIGINT NOT NULL,
    shown_at    BIGINT,
    PRIMARY KEY (question, part)
);
INSERT INTO answers (question, part, answer, answered_by, answered_at, shown_at)
    SELECT id, 0, answer, COALESCE(answered_by, ''), COALESCE(answered_at, asked_at), COALESCE(answered_at, asked_at)
    FROM questions WHERE answer IS NOT NULL;
CREATE INDEX questions_open ON questions (story) WHERE answer IS NULL;
CREATE INDEX questions_by_comment ON questions (comment) WHERE comment IS NOT NULL;
-- Commands: whether a task may change anything (`work`) or only plans (`plan`), whether a question is what a plan was put as,
-- and whether a person has chosen the branch that the story's pull request goes to, so that the repository's default does
-- not take its place.
ALTER TABLE tasks ADD COLUMN mode TEXT NOT NULL DEFAULT 'work';
ALTER TABLE questions ADD COLUMN is_plan BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stories ADD COLUMN base_chosen BIGINT NOT NULL DEFAULT 0;

-- Budgets and queues.
-- What a run took, read off its record, so that it can be summed.
ALTER TABLE runs ADD COLUMN cost_usd DOUBLE PRECISION GENERATED ALWAYS AS (json_extract(ended, '$.cost_usd')) VIRTUAL;
ALTER TABLE runs ADD COLUMN tokens BIGINT GENERATED ALWAYS AS (json_extract(ended, '$.tokens')) VIRTUAL;
ALTER TABLE runs ADD COLUMN took_ms BIGINT GENERATED ALWAYS AS (json_extract(ended, '$.duration_ms')) VIRTUAL;
CREATE INDEX runs_by_end ON runs (ended_at);
-- What the run may use at most, as it was when it was made (JSON), and the agent in whose place its own works.
ALTER TABLE runs ADD COLUMN may_use TEXT;
-- What it had cost when it told of itself last.
ALTER TABLE runs ADD COLUMN so_far_usd DOUBLE PRECISION;
ALTER TABLE runs ADD COLUMN instead_of TEXT;
-- Who asked for a task, as limits count them.
ALTER TABLE tasks ADD COLUMN asked_by TEXT GENERATED ALWAYS AS (lower(json_extract(ask, '$.by'))) VIRTUAL;
-- The agent whose usage limit a queued task waits for, until not_before.
ALTER TABLE tasks ADD COLUMN waits_for TEXT;
-- What people have let a story cost beyond its caps, other than by an answer to a question about them.
CREATE TABLE grants (
    delivery TEXT PRIMARY KEY,
    story    TEXT NOT NULL REFERENCES stories (id),
    -- The task that was open then.
    task     TEXT REFERENCES tasks (id),
    usd      DOUBLE PRECISION NOT NULL,
    by_whom  TEXT NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX grants_by_story ON grants (story);
-- Agents whose usage limit is used up, and until when.
CREATE TABLE agent_limits (
    agent      TEXT PRIMARY KEY,
    until_when BIGINT NOT NULL
);

-- Repository settings: the text of .github/hob.toml as it was when a task was asked for, and the version of a faulty one
-- that people were told of on a story's issue.
ALTER TABLE tasks ADD COLUMN settings TEXT;
ALTER TABLE stories ADD COLUMN settings_told TEXT;
-- What came of a repository's checks on a commit, before it was pushed (JSON).
CREATE TABLE checks (
    task    TEXT   NOT NULL REFERENCES tasks (id),
    tip     TEXT   NOT NULL,
    run     TEXT   NOT NULL,
    checked TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (task, tip)
);
