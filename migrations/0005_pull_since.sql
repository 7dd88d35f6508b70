-- When work towards the present pull request began, where there was one before it. Null: there was none. What was counted and said
-- about the earlier one is not about this one.
ALTER TABLE stories ADD COLUMN pull_since BIGINT;
UPDATE stories SET pull_since = pull_moved_at WHERE past_pull IS NOT NULL;
