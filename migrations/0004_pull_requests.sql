-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;

-- A base that moved.
-- Whether nobody is told of a task before something comes of it: no person has asked for it.
ALTER TABLE tasks ADD COLUMN quiet BIGINT NOT NULL DEFAULT 0;
-- What a task without a run is about to push, and what is said once it is there (JSON).
ALTER TABLE tasks ADD COLUMN about_to_push TEXT;
-- The tasks that people are told of: all but those that nobody has asked for, as long as nothing came of them.
CREATE VIEW shown_tasks AS
    SELECT * FROM tasks
    WHERE quiet = 0 OR words IS NOT NULL OR stop_why IS NOT NULL
        OR EXISTS (SELECT 1 FROM runs WHERE runs.task = tasks.id);
