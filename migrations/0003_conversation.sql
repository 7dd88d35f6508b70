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
