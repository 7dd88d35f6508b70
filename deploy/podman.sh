#!/usr/bin/env bash
# Runs the container tests against Podman's API: installs what is missing (Debian's packages, as root),
# starts a service with a socket, storage and network namespace of its own, gives it Docker's test image,
# runs the tests, and takes everything down again. Docker and its networks are not touched; a Docker
# daemon is needed for the image alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly image=${HOB_TEST_IMAGE:-hob-test-agent:latest}
readonly packages=(podman conmon catatonit runc crun netavark aardvark-dns iptables)
# A first start makes a database and looks through the storage.
readonly service_deadline_s=30

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  cat <<'END'
Usage: deploy/podman.sh [TESTS]

Runs `cargo test --test it -- TESTS` (default: containers::) with DOCKER_HOST set to a Podman service that lives
as long as this script. Needs root, Rust, and Docker with the test image (deploy/prepare.sh makes it).
END
  exit 0
fi

fail() {
  printf 'podman.sh: %s\n' "$1" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

install_missing() {
  if have podman && have conmon && have catatonit && [ -x /usr/lib/podman/netavark ]; then return; fi
  have apt-get || fail "there is no apt-get here. Install what Debian calls: ${packages[*]}"
  echo "podman.sh: installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || echo "podman.sh: apt-get update reported errors; going on" >&2
  apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}" </dev/null >/dev/null ||
    fail "apt-get could not install them; its words are above"
}

# crun refuses a machine with both versions of the control groups, which runc takes.
runtime() {
  if [ -d /sys/fs/cgroup/unified ] && have runc; then echo runc; else echo crun; fi
}

write_settings() {
  cat >"$place/containers.conf" <<END
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$(runtime)"
[network]
network_backend = "netavark"
END
  cat >"$place/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$place/storage"
runroot = "$place/run"
END
}

# Sets `podman`: the command that speaks of this storage and no other, after the words given.
set_podman() {
  podman=(env "CONTAINERS_CONF=$place/containers.conf" "CONTAINERS_STORAGE_CONF=$place/storage.conf" "$@"
    podman --tmpdir "$place/tmp" --network-config-dir "$place/networks")
}

start_service() {
  local waited=0 here=$PWD
  set_podman unshare --net sh -c 'ip link set lo up; exec "$@"' sh
  # The monitors of its containers write into the folder that it is started in.
  cd "$place"
  "${podman[@]}" system service --time=0 "unix://$place/podman.sock" >"$place/service.log" 2>&1 &
  service=$!
  cd "$here"
  until [ -S "$place/podman.sock" ]; do
    [ -e "/proc/$service" ] && [ "$waited" -lt "$((service_deadline_s * 5))" ] || {
      tail -n 20 "$place/service.log" >&2
      fail "podman's service did not come up; its words are above"
    }
    waited=$((waited + 1))
    sleep 0.2
  done
  # What follows runs in the service's network, where its containers' interfaces are.
  set_podman nsenter --net="/proc/$service/ns/net"
}

take_down() {
  local status=$?
  if [ -n "${service:-}" ]; then
    "${podman[@]}" rm --all --force --time 0 >/dev/null 2>&1 || true
    kill "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
  fi
  # Podman leaves its storage mounted onto itself.
  ! mountpoint --quiet "$place/storage/overlay" || umount "$place/storage/overlay"
  rm -rf --one-file-system "$place"
}

[ "$(id -u)" -eq 0 ] || fail "only root can run this"
have cargo || fail "cargo is not here; install Rust"
install_missing
docker image inspect "$image" >/dev/null || fail "Docker has no image $image; run deploy/prepare.sh first"

place=$(mktemp -d /tmp/hob-podman-XXXXXX)
service=''
podman=()
trap take_down EXIT
write_settings
start_service
echo "podman.sh: $(podman --version), $(runtime), socket $place/podman.sock"
docker save "$image" | "${podman[@]}" load --quiet
DOCKER_HOST=unix://$place/podman.sock cargo test --test it -- "${@:-containers::}"
