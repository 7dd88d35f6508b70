#!/usr/bin/env bash
# Makes container images with an agent in them, without a container registry: the root file system comes
# from Debian's packages (mmdebstrap), the agent from this repository or from npm. An image is made
# again only when its recipe or its files have changed; the label `hob.recipe` holds their hash.
# It does not install what it needs; deploy/prepare.sh does.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# The tag is the recipe's version: raise it when what follows in make_base changes.
readonly base_image=hob-test-base:1
readonly test_image=${HOB_TEST_IMAGE:-hob-test-agent:latest}
# The version whose protocol hob was tested with.
readonly claude_version=2.1.330
readonly claude_image=hob-claude:$claude_version

usage() {
  cat <<END
Usage: deploy/image/build.sh [--check] base|test|claude

  base     $base_image: Debian's essential packages, git and ca-certificates
  test     $test_image: the base and the scripted agents of tests/agent
  claude   $claude_image (also hob-claude:latest): the base and Claude Code $claude_version from npm

  --check  make nothing; end with 0 if the image is there and up to date, else with 1
END
}

fail() {
  printf 'deploy/image/build.sh: %s\n' "$1" >&2
  exit 1
}

say() { printf '%s\n' "$1"; }

need() { # PROGRAM, WHAT TO DO
  command -v "$1" >/dev/null || fail "$1 is not here: $2"
}

# ---- Recipes: everything an image depends on, as one hash

suite() { # Debian's release of this machine, else the one hob is tested with
  local ID='' VERSION_CODENAME=''
  # shellcheck source=/dev/null
  [ ! -r /etc/os-release ] || . /etc/os-release
  if [ "$ID" = debian ] && [ -n "$VERSION_CODENAME" ]; then
    printf '%s' "$VERSION_CODENAME"
  else
    printf 'bookworm'
  fi
}

hash() { sha256sum | cut -c 1-32; }

base_recipe() { printf '%s %s\n' "$base_image" "$(suite)" | hash; }

test_recipe() { (base_recipe && cd "$root/tests/agent" && sha256sum claude exchange-agent others) | hash; }

claude_recipe() { (base_recipe && printf '%s %s\n' "$claude_version" "$(claude_package)") | hash; }

is_current() { # IMAGE, RECIPE
  local found
  found=$(docker image inspect --format '{{ index .Config.Labels "hob.recipe" }}' "$1" 2>/dev/null) || return 1
  [ "$found" = "$2" ]
}

# ---- Making them

work=
remove_work() {
  [ -z "$work" ] || rm -rf "$work"
}
trap remove_work EXIT

make_base() {
  need mmdebstrap "apt-get install mmdebstrap (or run deploy/prepare.sh as root)"
  say "building $base_image from Debian $(suite)'s packages (about half a minute)"
  work=$(mktemp -d)
  # Into a file first: a pipe that breaks half way would leave half an image under the right name.
  if ! mmdebstrap --quiet --variant=essential --include=git,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$(suite)" "$work/base.tar" </dev/null >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    fail "mmdebstrap failed; its last lines are above. Without root it needs the package uidmap and user namespaces: if they are not to be had, let root run this once."
  fi
  docker import --change "LABEL hob.recipe=$(base_recipe)" \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["/bin/bash"]' "$work/base.tar" "$base_image" >/dev/null
  rm -rf "$work"
  # A tmpfs over /tmp takes its mode from the image, and the agent is not root there.
  # shellcheck disable=SC2016 # the container's shell expands it
  prove "$base_image" 'test "$(stat -c %a /tmp)" = 1777 && git --version >/dev/null'
}

prove() { # IMAGE, SHELL TEXT that must end well in it, as the user and in the tightness that hob runs it
  docker run --rm --network none --user 10001:10001 --read-only --tmpfs /tmp --cap-drop ALL \
    --env HOME=/tmp "$1" sh -c "$2" || fail "$1 was built, but it does not work: see above"
}

# Lays the programs of a folder over the base. With create, cp and commit, since a builder may be
# missing: Docker 20.10 has the classic one only, newer clients want a plugin for theirs.
add_layer() { # FOLDER, IMAGE, RECIPE, PROGRAMS
  local folder=$1 image=$2 recipe=$3 container
  shift 3
  container=$(docker create --network none "$base_image" /bin/true)
  # shellcheck disable=SC2064 # the container of now
  trap "docker rm --force '$container' >/dev/null 2>&1; remove_work" EXIT
  tar --create --directory "$folder" --owner=0 --group=0 --mode=0755 "$@" |
    docker cp - "$container:/usr/local/bin"
  docker commit --change "LABEL hob.recipe=$recipe" --change 'WORKDIR /workspace' "$container" "$image" >/dev/null
  docker rm --force "$container" >/dev/null
  trap remove_work EXIT
}

make_test() {
  ensure base
  say "building $test_image: the scripted agents of tests/agent"
  add_layer "$root/tests/agent" "$test_image" "$(test_recipe)" claude exchange-agent others codex gemini opencode
  prove "$test_image" 'claude --version >/dev/null && test -x /usr/local/bin/exchange-agent && test -x /usr/local/bin/gemini'
}

claude_package() { # the optional dependency of @anthropic-ai/claude-code that holds the program itself
  case $(uname -m) in
    x86_64) printf '@anthropic-ai/claude-code-linux-x64' ;;
    aarch64) printf '@anthropic-ai/claude-code-linux-arm64' ;;
    *) fail "there is no Claude Code for $(uname -m)" ;;
  esac
}

make_claude() {
  local package
  package=$(claude_package)@$claude_version
  need npm "it fetches $package; install npm, or put the program into an image by deploy/image/Dockerfile"
  ensure base
  say "building $claude_image: fetching $package (about 190 MB)"
  work=$(mktemp -d)
  mkdir "$work/bin"
  (cd "$work" && npm pack --silent "$package" >/dev/null) || fail "npm could not fetch $package"
  tar --extract --gzip --file "$work"/*.tgz --directory "$work/bin" --strip-components=1 package/claude
  add_layer "$work/bin" "$claude_image" "$(claude_recipe)" claude
  rm -rf "$work"
  prove "$claude_image" 'claude --version'
}

ensure() { # base, test or claude
  local image=${1}_image old
  if is_current "${!image}" "$("${1}_recipe")"; then
    say "${!image} is up to date"
  else
    old=$(docker image inspect --format '{{.Id}}' "${!image}" 2>/dev/null || true)
    "make_$1"
    # What the name stood for before goes, unless a container or another image still needs it.
    [ -z "$old" ] || docker image rm "$old" >/dev/null 2>&1 || true
  fi
  # The name that hob's configuration has as its default.
  [ "$1" != claude ] || docker tag "$claude_image" hob-claude:latest
}

main() {
  local check=no name='' image
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h)
        usage
        exit 0
        ;;
      --check) check=yes ;;
      base | test | claude) name=$1 ;;
      *) fail "unknown argument $1; --help tells which there are" ;;
    esac
    shift
  done
  [ -n "$name" ] || {
    usage >&2
    exit 1
  }
  need docker "install docker.io (or run deploy/prepare.sh as root)"
  if [ "$check" = yes ]; then
    image=${name}_image
    is_current "${!image}" "$("${name}_recipe")"
    return
  fi
  docker version >/dev/null 2>&1 || fail "no Docker daemon answers: start it, or run deploy/prepare.sh as root"
  ensure "$name"
}

main "$@"
