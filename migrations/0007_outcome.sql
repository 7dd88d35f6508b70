-- Where a story's work builds on its base branch: that branch's name, and its newest commit that is in the work. Null: not known yet.
-- Once the branch does not have that commit any more, people have rewritten its history.
ALTER TABLE stories ADD COLUMN root_branch TEXT;
ALTER TABLE stories ADD COLUMN root_commit TEXT;

-- What people are told about an effect that GitHub has refused for good. Null: it has not, or nobody waits for it.
ALTER TABLE effects ADD COLUMN refusal TEXT;
