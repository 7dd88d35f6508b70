-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;

-- Failed checks. The commit that hob pushed last with work that is proposed, and when people were told that hob mends no more.
ALTER TABLE stories ADD COLUMN pushed_head TEXT;
ALTER TABLE stories ADD COLUMN fixes_told_at BIGINT;
CREATE INDEX stories_pushed_head ON stories (repo_key, pushed_head) WHERE pushed_head IS NOT NULL;
