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
