-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;
