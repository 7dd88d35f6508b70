//! Repositories that lead elsewhere, hang anyone who reads them, or are not whole.

use super::plants::{Expect, Plant, REFUSED, plant};

use Expect::{Either, Pull};

/// All of them.
pub const PLANTS: &[Plant] = &[
    // Elsewhere.
    plant("core.worktree elsewhere", Pull, r#"work; git config core.worktree "$canary""#),
    plant(
        ".git as a file that names a sibling",
        REFUSED,
        r#"work; mv .git "$HOME/git"; echo "gitdir: $sibling/.git" >.git"#,
    ),
    plant(".git as a link to a sibling", REFUSED, r#"work; mv .git "$HOME/git"; ln -s "$sibling/.git" .git"#),
    plant("a commondir that is a foreign mirror", REFUSED, r#"work; echo "$mirror" >.git/commondir"#),
    plant(
        "alternates to a foreign mirror and a commit of its blob",
        REFUSED,
        r#"work; echo "$mirror/objects" >>.git/objects/info/alternates; steal "$mirror_blob""#,
    ),
    plant(
        "alternates to a sibling and a commit of its blob",
        REFUSED,
        r#"work; echo "$sibling/.git/objects" >>.git/objects/info/alternates; steal "$sibling_blob""#,
    ),
    plant(
        "objects as a link to a sibling's",
        REFUSED,
        r#"work; mv .git/objects .git/o; ln -s "$sibling/.git/objects" .git/objects"#,
    ),
    plant("refs as a link", REFUSED, r#"work; rm -r .git/refs; ln -s "$canary" .git/refs"#),
    plant("HEAD as a link", REFUSED, r#"work; rm .git/HEAD; ln -s "$canary/readable" .git/HEAD"#),
    plant(
        "config as a link",
        Either,
        r#"work; rm .git/config; ln -s "$canary/included.gitconfig" .git/config"#,
    ),
    plant("index as a link", Either, r#"work; rm .git/index; ln -s "$canary/readable" .git/index"#),
    plant(
        "the logs as links",
        Pull,
        r#"work; rm -rf .git/logs; mkdir .git/logs; ln -s "$canary/readable" .git/logs/HEAD; ln -s "$canary" .git/logs/refs"#,
    ),
    plant(
        "a committed link to a file of the host",
        Either,
        r#"work; ln -s "$canary/readable" link; ln -s /proc/self/environ magic; git add -A; git commit -qm Links"#,
    ),
    // Not whole, not honest, not small.
    plant(
        "a pack with a missing base",
        REFUSED,
        r#"
work; gone=$(git commit-tree -p HEAD~1 -m Gone 'HEAD^{tree}')
tip=$(git commit-tree -p HEAD -p "$gone" -m Tip 'HEAD^{tree}'); first=$(git rev-parse HEAD)
git update-ref HEAD "$tip"; rm -f ".git/objects/${gone:0:2}/${gone:2}"
mkdir -p .git/info; echo "$tip $first" >.git/info/grafts"#,
    ),
    plant(
        "a damaged object",
        REFUSED,
        r#"echo "$RANDOM $here" >work.txt; git add work.txt; git commit -qm Damaged; blob=$(git rev-parse HEAD:work.txt); file=.git/objects/${blob:0:2}/${blob:2}; chmod u+w "$file"; echo broken >"$file""#,
    ),
    plant(
        "a replaced commit",
        Either,
        r#"work; git replace "$(git rev-parse HEAD)" "$(git rev-parse HEAD~1)""#,
    ),
    plant(
        "the history cut by a graft",
        Either,
        r#"work; mkdir -p .git/info; git rev-parse HEAD >.git/info/grafts"#,
    ),
    plant("an index of 10 GB", Pull, r#"work; rm .git/index; truncate -s 10G .git/index"#),
    plant("a HEAD of 10 GB", REFUSED, r#"work; rm .git/HEAD; truncate -s 10G .git/HEAD"#),
    plant(
        "a pack of 10 GB",
        Either,
        r#"work; mkdir -p .git/objects/pack; truncate -s 10G .git/objects/pack/pack-1111111111111111111111111111111111111111.pack"#,
    ),
    plant(
        "commits larger than the limit",
        REFUSED,
        r#"head -c 12000000 /dev/urandom >work.txt; git add work.txt; git commit -qm Large"#,
    ),
    plant("a hand-over that does not end", REFUSED, r#"work; in_status 'yes >/proc/1/fd/1'"#),
    plant(
        "a forged hand-over",
        REFUSED,
        r#"
work; tip=$(git rev-parse HEAD); mkdir .git/forged
{ printf 'hob-hand-over 1\ntip %s\nstatus 0\nbundle yes\n# v2 git bundle\n%s refs/heads/x\n\n' "$tip" "$tip"
  git rev-parse HEAD 'HEAD^{tree}' | git pack-objects --stdout -q; } >.git/forged/all
in_status 'cat .git/forged/all >/proc/1/fd/1'"#,
    ),
    plant("a hand-over whose processes are killed", REFUSED, r#"work; in_status 'kill -9 -1'"#),
];

/// Pipes, which hold anyone who reads them until the time for a hand-over is over.
pub const PIPES: &[Plant] = &[
    plant("HEAD as a pipe", REFUSED, r#"work; rm .git/HEAD; mkfifo .git/HEAD"#),
    plant("index as a pipe", REFUSED, r#"work; rm .git/index; mkfifo .git/index"#),
    plant("config as a pipe", REFUSED, r#"work; rm .git/config; mkfifo .git/config"#),
    plant("packed-refs as a pipe", REFUSED, r#"work; rm -f .git/packed-refs; mkfifo .git/packed-refs"#),
    plant(
        "the branch as a pipe",
        REFUSED,
        r#"work; ref=.git/$(git symbolic-ref HEAD); rm -f "$ref"; mkfifo "$ref""#,
    ),
    plant(
        "alternates as a pipe",
        REFUSED,
        r#"work; rm .git/objects/info/alternates; mkfifo .git/objects/info/alternates"#,
    ),
    plant(
        "info/exclude as a pipe",
        REFUSED,
        r#"work; mkdir -p .git/info; rm -f .git/info/exclude; mkfifo .git/info/exclude"#,
    ),
    plant(
        "info/attributes as a pipe",
        Either,
        r#"work; mkdir -p .git/info; mkfifo .git/info/attributes; touch README.md"#,
    ),
];
