-- What hob does again and again costs as much as there is to do, and not as much as was ever done: each statement that runs often
-- has an index over the rows that are open. `tests/it/store/plans.rs` reads the plan of every statement.

-- The outbox. What an effect is, so that no statement looks into its JSON; and its class, by which the effects of one story go
-- first or last: 0 what people wait for, 1 the rest.
ALTER TABLE effects ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE effects ADD COLUMN class BIGINT NOT NULL DEFAULT 1;
-- An early hob asked questions in plain comments; what it had not yet posted becomes a card.
UPDATE effects SET effect = json_object('kind', 'card', 'question', json_extract(effect, '$.question'))
    WHERE state <> 'done' AND json_extract(effect, '$.kind') = 'comment' AND json_extract(effect, '$.question') IS NOT NULL;
UPDATE effects SET kind = COALESCE(json_extract(effect, '$.kind'), '');
UPDATE effects SET class = 0 WHERE kind IN ('pull_request', 'comment', 'card', 'review_reply');
DROP INDEX effects_wanted;
CREATE INDEX effects_wanted ON effects (story, class, seq) WHERE state = 'wanted';
CREATE INDEX effects_due ON effects (class, seq) WHERE state = 'wanted';
CREATE INDEX effects_next ON effects (not_before) WHERE state = 'wanted';
CREATE INDEX effects_parked ON effects (story, seq) WHERE state = 'parked';

-- The inbox. Deliveries of one lane, which is a repository, are settled one after the other; those of different lanes are not.
ALTER TABLE deliveries ADD COLUMN lane TEXT NOT NULL DEFAULT '';
DROP INDEX deliveries_new;
CREATE INDEX deliveries_new ON deliveries (lane, seq) WHERE state = 'new';
CREATE INDEX deliveries_next ON deliveries (not_before) WHERE state = 'new';
CREATE INDEX deliveries_arrived ON deliveries (received_at) WHERE state = 'new';
CREATE INDEX deliveries_unsettled ON deliveries (seq) WHERE state <> 'done';
CREATE INDEX deliveries_old ON deliveries (received_at) WHERE state <> 'new';

-- The queue.
DROP INDEX tasks_open;
CREATE INDEX tasks_open ON tasks (seq) WHERE state IN ('queued', 'running', 'publishing', 'blocked');
CREATE INDEX tasks_queued_of_story ON tasks (story, seq) WHERE state = 'queued';
CREATE INDEX tasks_under_way ON tasks (story) WHERE state IN ('running', 'publishing');
CREATE INDEX tasks_blocked ON tasks (story) WHERE state = 'blocked';
CREATE INDEX tasks_leased ON tasks (story, lease_until) WHERE lease_until > 0;
CREATE INDEX tasks_of_sub_issues ON tasks (story) WHERE about = 'sub_issue';

CREATE INDEX questions_by_task ON questions (task, seq);
CREATE INDEX questions_answered ON questions (answered_at) WHERE answer IS NOT NULL;
CREATE INDEX messages_by_run ON messages (run) WHERE run IS NOT NULL;
-- A home that is gone takes its session with it.
CREATE INDEX stories_with_session ON stories (id) WHERE session_id IS NOT NULL;
CREATE INDEX wishes_next ON wishes (look_at);

-- The queue takes turns between repositories, and finds the first task of each without reading the others: so a task has the
-- repository's key, which follows the story's.
ALTER TABLE tasks ADD COLUMN repo_key TEXT NOT NULL DEFAULT '';
UPDATE tasks SET repo_key = (SELECT repo_key FROM stories WHERE stories.id = tasks.story);
CREATE TRIGGER tasks_follow_their_story AFTER UPDATE OF repo_key ON stories WHEN NEW.repo_key <> OLD.repo_key BEGIN
    UPDATE tasks SET repo_key = NEW.repo_key WHERE story = NEW.id;
END;
CREATE INDEX tasks_queued ON tasks (repo_key, seq, story, id, not_before, lease_until, stop_why, asked_by) WHERE state = 'queued';

-- A digest of what the status comment says, so that it is not sent again unchanged. Null: not known.
ALTER TABLE stories ADD COLUMN status_says TEXT;

-- The pull request that the words about a task are about, once the story has moved on to another. Null: the story's present one.
ALTER TABLE tasks ADD COLUMN pull BIGINT;
UPDATE tasks SET pull = (SELECT past_pull FROM stories WHERE stories.id = tasks.story)
    WHERE words IS NOT NULL
      AND EXISTS (SELECT 1 FROM stories WHERE stories.id = tasks.story AND past_pull IS NOT NULL AND pull_since > tasks.updated_at);
