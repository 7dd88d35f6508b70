-- Order without a clock: rows are worked off in the order in which they were written, whatever the
-- machine's clock does meanwhile. `seq` grows by one with each row of a table.
ALTER TABLE deliveries ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE deliveries SET seq = numbered.n
    FROM (SELECT guid, ROW_NUMBER() OVER (ORDER BY received_at, guid) AS n FROM deliveries) AS numbered
    WHERE numbered.guid = deliveries.guid;
CREATE INDEX deliveries_by_seq ON deliveries (seq);
DROP INDEX deliveries_new;
CREATE INDEX deliveries_new ON deliveries (seq) WHERE state = 'new';

ALTER TABLE tasks ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE tasks SET seq = numbered.n
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY created_at, id) AS n FROM tasks) AS numbered
    WHERE numbered.id = tasks.id;
CREATE INDEX tasks_by_seq ON tasks (seq);

ALTER TABLE runs ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE runs SET seq = numbered.n
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM runs) AS numbered
    WHERE numbered.id = runs.id;
CREATE INDEX runs_by_seq ON runs (seq);

ALTER TABLE questions ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE questions SET seq = numbered.n
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY asked_at, id) AS n FROM questions) AS numbered
    WHERE numbered.id = questions.id;
CREATE INDEX questions_by_seq ON questions (seq);

ALTER TABLE effects ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE effects SET seq = numbered.n
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM effects) AS numbered
    WHERE numbered.id = effects.id;
CREATE INDEX effects_by_seq ON effects (seq);
DROP INDEX effects_wanted;
CREATE INDEX effects_wanted ON effects (story, seq) WHERE state = 'wanted';

-- A delivery is known by what it says too, since its GUID is outside of the signature. Null: nothing hob
-- acts on, or an operator's replay.
ALTER TABLE deliveries ADD COLUMN meaning TEXT;
CREATE UNIQUE INDEX deliveries_by_meaning ON deliveries (meaning) WHERE meaning IS NOT NULL;

-- How often GitHub refused an effect, as opposed to being away.
ALTER TABLE effects ADD COLUMN refusals BIGINT NOT NULL DEFAULT 0;
-- The comment that an effect made or found, and when to look whether it was made twice.
ALTER TABLE effects ADD COLUMN comment BIGINT;
ALTER TABLE effects ADD COLUMN recheck_at BIGINT;
CREATE INDEX effects_recheck ON effects (recheck_at) WHERE recheck_at IS NOT NULL;

-- When the label was put on that hob took up last, and when somebody stopped the work last, by GitHub's
-- clock: what was asked for earlier and arrives later starts nothing.
ALTER TABLE stories ADD COLUMN labeled_at BIGINT;
ALTER TABLE stories ADD COLUMN stopped_at BIGINT;
-- What an earlier hob heard counts as taken up.
UPDATE stories SET labeled_at = (SELECT MAX(received_at) FROM deliveries);
-- When people were told that the waiting workspace will be given up.
ALTER TABLE stories ADD COLUMN warned_at BIGINT;

-- Why a task is to be stopped: `asked` by the person in stop_by, or `waited` for an answer too long.
ALTER TABLE tasks ADD COLUMN stop_why TEXT;
UPDATE tasks SET stop_why = 'asked' WHERE stop_by IS NOT NULL;

-- Whether nothing in the story's workspace is needed any more: it was pushed, under other commit ids, or there was
-- nothing. Then the workspace only waits to be removed.
ALTER TABLE stories ADD COLUMN handed_over BIGINT NOT NULL DEFAULT 0;
UPDATE stories SET handed_over = 1
    WHERE 'done' = (SELECT state FROM tasks WHERE tasks.story = stories.id ORDER BY tasks.seq DESC LIMIT 1);
-- What a task that is over has left in the workspace is to be pushed before the workspace is removed: `wanted` since
-- save_work_at, or found to be impossible, `refused`.
ALTER TABLE tasks ADD COLUMN save_work TEXT;
ALTER TABLE tasks ADD COLUMN save_work_at BIGINT;
CREATE INDEX tasks_to_save ON tasks (seq) WHERE save_work = 'wanted';
CREATE INDEX tasks_by_story ON tasks (story, seq);

-- Repositories that hob has heard from, and how far GitHub was looked through for what no webhook told, by
-- GitHub's clock.
CREATE TABLE repositories (
    repo_key       TEXT PRIMARY KEY,
    repo           TEXT NOT NULL,
    installation   BIGINT,
    default_branch TEXT NOT NULL,
    looked_until   BIGINT
);
-- An earlier hob heard of everything up to its last delivery, and did not note what deliveries mean: so the first look must not
-- go back behind that, although each look goes back ten minutes.
INSERT INTO repositories (repo_key, repo, installation, default_branch, looked_until)
    SELECT repo_key, MAX(repo), MAX(installation), MAX(base_branch), (SELECT MAX(received_at) + 601000 FROM deliveries)
    FROM stories GROUP BY repo_key;
