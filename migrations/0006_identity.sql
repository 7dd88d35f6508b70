-- Identity: a repository is known by GitHub's id. Its name, and the App's installation on it, are what hob heard last.
-- The id. Null: not known yet; it is filled in with the first answer or delivery that names it.
ALTER TABLE repositories ADD COLUMN github_id BIGINT;
CREATE UNIQUE INDEX repositories_by_github_id ON repositories (github_id) WHERE github_id IS NOT NULL;
-- Where the mirror is, below the folder of all mirrors. It stays where it is when the repository is renamed, since workspaces borrow
-- from it; another repository that takes the name has another mirror.
ALTER TABLE repositories ADD COLUMN mirror TEXT;
UPDATE repositories SET mirror = repo_key || '.git';
-- When GitHub was found to show no such repository any more. Its name may belong to another one then, so that `repo_key`, here and
-- in its stories, is `~` and the mirror's folder until it is seen again.
ALTER TABLE repositories ADD COLUMN gone_at BIGINT;
-- `repo`, `repo_key`, `installation` and these two repeat what `repositories` says, and change with it in one transaction.
ALTER TABLE stories ADD COLUMN github_id BIGINT;
ALTER TABLE stories ADD COLUMN mirror TEXT NOT NULL DEFAULT '';
UPDATE stories SET mirror = repo_key || '.git';
CREATE INDEX stories_by_mirror ON stories (mirror);
