-- Columns get the names that the code and the documentation use. Indexes and views follow by themselves.
ALTER TABLE tasks RENAME COLUMN quiet TO silent;
ALTER TABLE tasks RENAME COLUMN called_off TO stop_after_current;
ALTER TABLE runs RENAME COLUMN may_use TO budget_limit;
ALTER TABLE runs RENAME COLUMN instead_of TO fallback_for;
ALTER TABLE runs RENAME COLUMN so_far_usd TO reported_cost_usd;
ALTER TABLE grants RENAME COLUMN by_whom TO granted_by;
ALTER TABLE agent_limits RENAME COLUMN until_when TO limited_until;
ALTER TABLE stories RENAME COLUMN status_says TO status_digest;
-- hob speaks English; agents answer in the language of the issue.
ALTER TABLE stories DROP COLUMN language;
