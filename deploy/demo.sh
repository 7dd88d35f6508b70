#!/usr/bin/env bash
# Plays hob's story on this machine: a label, a question, a reply, a pull request. Prepares the machine,
# builds hob and starts the example `demo`, which tells the story.
# Needs Rust; root, or a user who may use Docker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'END'
Usage: deploy/demo.sh [--keep] [--agent scripted|claude]

Plays the whole job on this machine: a local GitHub, real git over HTTP, real containers, a real store.

  --keep             go on serving at the end, to look around and answer by hand
  --agent scripted   (default) an agent that follows a script and needs no model
  --agent claude     Claude Code; needs ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN in the environment,
                     and npm to fetch the program
  --help             this text
END
}

fail() {
  printf 'deploy/demo.sh: %s\n' "$1" >&2
  exit 1
}

agent=scripted
image=hob-test-agent:latest
keep=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=(--keep) ;;
    --agent)
      [ $# -gt 1 ] || fail "--agent needs a name: scripted or claude"
      agent=$2
      shift
      ;;
    --agent=*) agent=${1#--agent=} ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) fail "unknown argument $1; --help tells which there are" ;;
  esac
  shift
done

case $agent in
  scripted) ;;
  claude)
    image=hob-claude:latest
    [ -n "${ANTHROPIC_API_KEY:-}${CLAUDE_CODE_OAUTH_TOKEN:-}" ] ||
      fail "--agent claude needs a key for the model: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or leave --agent out"
    ;;
  *) fail "there is no agent $agent for the demo; scripted and claude there are" ;;
esac

# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh
if [ "$agent" = claude ]; then
  deploy/image/build.sh claude
fi
echo "building hob (some minutes the first time)"
cargo build --quiet --bins --examples
exec cargo run --quiet --example demo -- --image "$image" --agent "$agent" "${keep[@]}"
