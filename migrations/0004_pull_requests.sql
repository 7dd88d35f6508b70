-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`, `sub_issue`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;
-- Sub-issues together: whether somebody wants no further one begun after the task's own.
ALTER TABLE tasks ADD COLUMN called_off BIGINT NOT NULL DEFAULT 0;
