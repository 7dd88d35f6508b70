-- The conversation on the pull request.
-- What a task is about beyond its story's issue: `review`, `checks`, `base`, `sub_issue`; null: nothing.
ALTER TABLE tasks ADD COLUMN about TEXT GENERATED ALWAYS AS (json_extract(ask, '$.about.kind')) VIRTUAL;

-- Failed checks. The commit that hob pushed last with work that is proposed, and when people were told that hob mends no more.
ALTER TABLE stories ADD COLUMN pushed_head TEXT;
ALTER TABLE stories ADD COLUMN fixes_told_at BIGINT;
CREATE INDEX stories_pushed_head ON stories (repo_key, pushed_head) WHERE pushed_head IS NOT NULL;

-- The check run `hob` on the head of a story's branch, or the commit status where hob has a token only. `check_shown` is the
-- count of `status_wanted` that was shown there last; what stood before hob made check runs counts as shown.
ALTER TABLE stories ADD COLUMN check_shown BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stories ADD COLUMN check_not_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stories ADD COLUMN check_tries BIGINT NOT NULL DEFAULT 0;
UPDATE stories SET check_shown = status_wanted;
CREATE INDEX stories_to_check ON stories (check_not_before) WHERE remote_head IS NOT NULL AND status_wanted <> check_shown;
CREATE TABLE check_runs (
    story        TEXT NOT NULL REFERENCES stories (id),
    head         TEXT NOT NULL,
    -- GitHub's id. Null: not made as far as hob knows, or a commit status, which hob needs no id of.
    check_run    BIGINT,
    -- A digest of what it says.
    says         TEXT,
    is_completed BIGINT NOT NULL DEFAULT 0,
    -- Whether a try to make it got no answer, so that there may be two.
    is_unclear   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (story, head)
);
CREATE INDEX check_runs_by_id ON check_runs (check_run) WHERE check_run IS NOT NULL;
-- Whether the checks are to run again on the head though the task is done: somebody asked for it on the check run.
ALTER TABLE tasks ADD COLUMN check_again BIGINT;
CREATE INDEX tasks_to_check_again ON tasks (seq) WHERE check_again IS NOT NULL;

-- Reviews: what hob has applied of a task's suggestions by itself, or is about to push (JSON).
ALTER TABLE tasks ADD COLUMN suggested TEXT;

-- What became of the story's pull request: null: it is open, or there is none; `closed`, `merged`. When, by GitHub's clock, and
-- who did it.
ALTER TABLE stories ADD COLUMN pull_state TEXT;
ALTER TABLE stories ADD COLUMN pull_moved_at BIGINT;
ALTER TABLE stories ADD COLUMN pull_moved_by TEXT;
-- The pull request before, where work began anew after it was closed or merged, and which of the two.
ALTER TABLE stories ADD COLUMN past_pull BIGINT;
ALTER TABLE stories ADD COLUMN past_pull_state TEXT;
-- Whether hob has made the pull request a draft (1) or ready (0). Null: a person has decided.
ALTER TABLE stories ADD COLUMN pull_draft BIGINT;
CREATE INDEX stories_by_past_pull ON stories (repo_key, past_pull) WHERE past_pull IS NOT NULL;

-- Sub-issues together: whether somebody wants no further one begun after the task's own.
ALTER TABLE tasks ADD COLUMN called_off BIGINT NOT NULL DEFAULT 0;
-- Work that was asked for on an issue that others block: what was asked for (JSON), by which issues (JSON: `owner/name#3`, as
-- `Repo::key` writes it), and when GitHub is asked about them next.
CREATE TABLE wishes (
    story    TEXT PRIMARY KEY REFERENCES stories (id),
    delivery TEXT NOT NULL,
    wish     TEXT NOT NULL,
    blockers TEXT NOT NULL,
    look_at  BIGINT NOT NULL,
    tries    BIGINT NOT NULL DEFAULT 0
);

-- What agents wrote that was too long for its place: the comments that hold the rest, by part. `id` is in the comment's marker; the
-- link is there once the comment is.
CREATE TABLE rests (
    story      TEXT NOT NULL REFERENCES stories (id),
    key        TEXT NOT NULL,
    part       BIGINT NOT NULL,
    id         TEXT NOT NULL UNIQUE,
    on_issue   BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    comment    BIGINT,
    link       TEXT,
    recheck_at BIGINT,
    PRIMARY KEY (story, key, part)
);
CREATE INDEX rests_to_recheck ON rests (recheck_at) WHERE recheck_at IS NOT NULL;

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

-- The language that hob speaks with people on a story: that of the repository's settings when work was asked for first. All that is
-- said of one story is in one language.
ALTER TABLE stories ADD COLUMN language TEXT NOT NULL DEFAULT 'en';

-- What hob has called the pull request last (null: a person has named it), and whether it shows work that was cut short and was never
-- done yet. The draft that a card names: the card says the same as long as its question does.
ALTER TABLE stories ADD COLUMN pull_title TEXT;
ALTER TABLE stories ADD COLUMN pull_unfinished BIGINT NOT NULL DEFAULT 0;
ALTER TABLE questions ADD COLUMN draft_pull BIGINT;
