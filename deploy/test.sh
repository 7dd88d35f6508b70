#!/usr/bin/env bash
# Prepares the machine, then checks format, lints and all tests. Arguments go to `cargo test`.
# Needs Rust; root, or a user who may use Docker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly examples=@octokit/webhooks-examples
readonly examples_version=7.6.1
readonly examples_dir=target/webhooks-examples

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  cat <<'END'
Usage: deploy/test.sh [ARGUMENTS OF cargo test]

Installs what is missing, starts Docker if no daemon answers, builds the test image and the one with the real
Claude Code, fetches GitHub's example webhooks from npm, then runs cargo fmt --check, cargo clippy and cargo test, with the
places at which tests kill hob (feature fail-points). Ends at the first failure.
END
  exit 0
fi

current=start
report() {
  local status=$?
  [ "$status" -eq 0 ] || printf '\nFAILED: %s (exit %d, after %d s)\n' "$current" "$status" "$SECONDS"
}
trap report EXIT

step() { # TITLE, COMMAND
  local began=$SECONDS
  current=$1
  shift
  printf '\n== %s\n' "$current"
  "$@"
  printf -- '-- %s: %d s\n' "$current" "$((SECONDS - began))"
}

make_ready() {
  # shellcheck source=deploy/prepare.sh
  . deploy/prepare.sh
}

skip_examples() { # WHY
  cat <<END
*****************************************************************************************
**  SKIPPED: $examples@$examples_version could not be fetched:
**  $1
**  The tests that send GitHub's own example webhooks through the door will not run.
*****************************************************************************************
END
}

# Leaves the package unpacked in $examples_dir/package, or nothing there.
fetch_examples() {
  local found='' fresh=$examples_dir.new
  if [ -f "$examples_dir/package/package.json" ]; then
    found=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$examples_dir/package/package.json" | head -n 1)
  fi
  if [ "$found" = "$examples_version" ]; then
    echo "$examples@$examples_version is in $examples_dir"
    return
  fi
  rm -rf "$examples_dir" "$fresh"
  mkdir -p "$fresh"
  if ! command -v npm >/dev/null; then
    skip_examples "npm is not here"
  elif ! (cd "$fresh" && timeout 120 npm pack --silent "$examples@$examples_version" >npm.log 2>&1); then
    skip_examples "npm says: $(grep -m 1 -i '^npm err' "$fresh/npm.log" || echo 'nothing within 120 s')"
  else
    tar --extract --gzip --file "$fresh"/*.tgz --directory "$fresh"
    rm "$fresh"/*.tgz
    # Under its own name only when it is whole.
    mv "$fresh" "$examples_dir"
    echo "$examples@$examples_version unpacked into $examples_dir"
  fi
  rm -rf "$fresh"
}

skip_claude() { # WHY
  export HOB_SKIP_REAL_CLAUDE=1
  cat <<END
*****************************************************************************************
**  SKIPPED: the image with the real Claude Code could not be made:
**  $1
**  The tests in tests/it/real_claude.rs will not run.
*****************************************************************************************
END
}

# Only npm being out of reach is a reason to go on without it; a recipe that fails is a failure.
build_claude() {
  if ! deploy/image/build.sh --check claude; then
    if ! command -v npm >/dev/null; then
      skip_claude "npm is not here"
      return
    elif ! timeout 60 npm view npm version >/dev/null 2>&1; then
      skip_claude "npm's registry does not answer within 60 s"
      return
    fi
  fi
  deploy/image/build.sh claude
}

# More tests at once than there are processors: most of a story is waiting for containers.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}

# What a failed test says comes last and is short: a stack of the test's runtime in front of it helps nobody.
export RUST_BACKTRACE=0

step "prepare the machine" make_ready
step "the image with the real Claude Code" build_claude
step "GitHub's example webhooks" fetch_examples
step "cargo fmt --check" cargo fmt --check
step "cargo clippy, as it ships" cargo clippy --lib --bins -- -D warnings
step "cargo clippy, with all tests" cargo clippy --all-targets --features fail-points -- -D warnings
step "cargo test" cargo test --features fail-points "$@"
