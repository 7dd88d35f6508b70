-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;

-- Reviews: what hob has applied of a task's suggestions by itself, or is about to push (JSON).
ALTER TABLE tasks ADD COLUMN suggested TEXT;
