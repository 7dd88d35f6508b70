#!/usr/bin/env bash
# Removes each line that "nothing lost, nothing twice" rests on, one at a time, and sees to it that the tests which guard it fail.
# A mutation is a patch in deploy/mutations: its first line says what it breaks, `guard:` which tests have to fail. Works in a
# checkout of the last commit, so nothing here is changed. Needs what deploy/test.sh needs; about a minute for each.
#
#   deploy/mutations.sh [NAME ...]     default: all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  cat <<'END'
Usage: deploy/mutations.sh [NAME ...]

Breaks hob in one place at a time, each a patch in deploy/mutations (without names: all of them), and sees to it that the
tests which guard the place fail. Installs what is missing, as deploy/prepare.sh does; changes nothing in this checkout.
About a minute for each.
END
  exit 0
fi

# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh

tree=$root/target/mutations/tree
remove_tree() { git worktree remove --force "$tree" 2>/dev/null || rm -rf "$tree"; }
trap remove_tree EXIT
remove_tree
git worktree prune
git worktree add --quiet --detach "$tree" HEAD
export CARGO_TARGET_DIR=${HOB_MUTATIONS_TARGET:-$root/target/mutations/build}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for patch in deploy/mutations/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

run_guard() { (cd "$tree" && cargo test --quiet --features fail-points --test it -- "$1"); }

survived=()
for name in "${names[@]}"; do
  patch=$root/deploy/mutations/$name.patch
  guard=$(sed -n 's/^guard: //p' "$patch")
  log=$root/target/mutations/$name.log
  git -C "$tree" apply "$patch" || { echo "$name: the patch no longer applies; make it again" >&2; exit 1; }
  if run_guard "$guard" >"$log" 2>&1; then
    survived+=("$name")
    echo "NOT CAUGHT  $name: $(head -n 1 "$patch")"
  elif ! grep -q '^test result: FAILED' "$log"; then
    # It does not compile, or ran nothing: that proves nothing.
    tail -n 20 "$log" >&2
    echo "$name: its tests did not run; $log has the reason" >&2
    exit 1
  else
    echo "caught      $name: $(head -n 1 "$patch")"
  fi
  git -C "$tree" checkout --quiet -- .
done

echo "${#names[@]} mutations, ${#survived[@]} not caught"
[ ${#survived[@]} -eq 0 ]
