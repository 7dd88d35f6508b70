-- A question says in a column what kind it is, and keeps what belongs to that kind beside its text.
ALTER TABLE questions ADD COLUMN kind TEXT NOT NULL DEFAULT 'agent';
ALTER TABLE questions ADD COLUMN payload TEXT;
UPDATE questions SET kind = 'plan' WHERE is_plan <> 0;
UPDATE questions SET kind = 'protected_change', payload = json_extract(question, '$.held_back')
    WHERE json_extract(question, '$.held_back') IS NOT NULL;
UPDATE questions SET kind = 'budget', payload = json_extract(question, '$.at_cap')
    WHERE json_extract(question, '$.at_cap') IS NOT NULL;
UPDATE questions SET question = json_remove(question, '$.held_back', '$.at_cap') WHERE payload IS NOT NULL;
ALTER TABLE questions DROP COLUMN is_plan;
