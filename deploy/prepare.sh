#!/usr/bin/env bash
# Makes a machine ready for deploy/test.sh and deploy/demo.sh: installs what is missing (Debian's packages,
# as root), sees to it that a Docker daemon answers, and builds the test image. Run it, or source it:
# sourced, it leaves DOCKER_HOST and PATH as the commands after it need them. It changes nothing that
# is already there, so it costs a second on a machine that is ready.
#
#   DOCKER_HOST        the daemon to use; default unix:///var/run/docker.sock
#   HOB_DOCKERD_FLAGS  further flags for a daemon that this script starts
set -euo pipefail

# Sourced, the arguments are those of the script that does it.
if [ "${BASH_SOURCE[0]}" = "$0" ] && { [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; }; then
  cat <<'END'
Usage: deploy/prepare.sh

Installs what deploy/test.sh and deploy/demo.sh need and is missing (Debian's packages, as root), starts Docker if no
daemon answers, and builds the test image. Changes nothing that is already there.

  DOCKER_HOST        the daemon to use; default unix:///var/run/docker.sock
  HOB_DOCKERD_FLAGS  further flags for a daemon that this script starts
END
  exit 0
fi

prepare_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A first start makes folders, firewall rules and a bridge; on a busy machine that takes a while.
readonly dockerd_deadline_s=90
readonly dockerd_log=/var/log/hob-dockerd.log

prepare_fail() {
  printf 'prepare: %s\n' "$1" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

daemon_answers() { have docker && timeout 10 docker version >/dev/null 2>&1; }

require_cargo() {
  have cargo && return
  prepare_fail "cargo is not here. Install Rust with rustup (rust-version in Cargo.toml tells which), open a new shell and run this again."
}

# ---- Packages

missing_packages() {
  have git || echo git
  # Tests make keys, and verify commits that hob has signed.
  have ssh-keygen || echo openssh-client
  # The test `hostile` watches with it what hob starts.
  have strace || echo strace
  # A disk that breaks under hob is an ext4 in a file.
  have mkfs.ext4 || echo e2fsprogs
  # The linker, and the compiler for the C libraries inside some crates.
  have cc || echo gcc libc6-dev
  if ! have docker || { ! daemon_answers && ! have dockerd; }; then
    echo docker.io
  fi
  if ! "$prepare_root/deploy/image/build.sh" --check base 2>/dev/null; then
    have mmdebstrap || echo mmdebstrap
    # What it needs to work without root, and on a system that is not Debian.
    is_root || have newuidmap || echo uidmap
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
  fi
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages | tr ' ' '\n')
  [ "${#packages[@]}" -gt 0 ] || return 0
  have apt-get || prepare_fail "there is no apt-get here. Install what Debian calls: ${packages[*]}"
  is_root || prepare_fail "not root, and these packages are missing. Let root run: apt-get install ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  echo "prepare: reading the package lists"
  # A list that cannot be read, of a source that has nothing to do with this, is only a warning.
  apt-get update -qq || echo "prepare: apt-get update reported errors; going on with the lists that are here" >&2
  # Newer releases have the client in a package of its own.
  if ! have docker && apt-cache show docker-cli >/dev/null 2>&1; then
    packages+=(docker-cli)
  fi
  echo "prepare: installing ${packages[*]}"
  apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}" </dev/null >/dev/null ||
    prepare_fail "apt-get could not install ${packages[*]}; its words are above"
}

# ---- The Docker daemon

pid_of() { # PID FILE, PROGRAM: the process in the file, if it is that program; a stale file goes
  local pid=''
  [ -r "$1" ] || return 1
  read -r pid <"$1" || true
  if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]; then
    printf '%s' "$pid"
    return 0
  fi
  # After a crash another process may have the number, and the daemon would take it for itself.
  rm -f "$1"
  return 1
}

# Starts a daemon that outlives this script, or uses one that is just coming up.
start_daemon() {
  local pid='' flags=() waited=0
  is_root || prepare_fail "no Docker daemon answers at $DOCKER_HOST: start it, see that you may use it (group docker), and run this again.
$(timeout 10 docker version 2>&1 >/dev/null | tail -n 1)"
  [[ $DOCKER_HOST == unix://* ]] ||
    prepare_fail "no Docker daemon answers at $DOCKER_HOST. Only a daemon on a socket of this machine can be started from here."
  if [ -d /run/systemd/system ] && [ "$DOCKER_HOST" = unix:///var/run/docker.sock ]; then
    echo "prepare: starting the Docker service"
    systemctl start docker || prepare_fail "systemd could not start docker; journalctl -u docker tells why"
  elif ! pid=$(pid_of /var/run/docker.pid dockerd); then
    pid_of /var/run/docker/containerd/containerd.pid containerd >/dev/null || true
    echo "prepare: starting dockerd; it goes on running, its log is $dockerd_log"
    [ "$DOCKER_HOST" = unix:///var/run/docker.sock ] || flags+=(--host "$DOCKER_HOST")
    # shellcheck disable=SC2206 # several flags in one variable, split on purpose
    flags+=(${HOB_DOCKERD_FLAGS:-})
    setsid dockerd "${flags[@]}" </dev/null >"$dockerd_log" 2>&1 9>&- &
    pid=$!
  fi
  until daemon_answers; do
    if [ -n "$pid" ] && [ ! -e "/proc/$pid" ]; then
      daemon_failed "dockerd ended"
    fi
    [ "$waited" -lt "$((dockerd_deadline_s * 5))" ] || daemon_failed "dockerd did not answer at $DOCKER_HOST within $dockerd_deadline_s s"
    waited=$((waited + 1))
    sleep 0.2
  done
  steady_bridge
}

# On some kernels docker0 has no address of its own and takes that of a container. When that container ends,
# the packets of the others to this machine go nowhere for a minute. An address of its own ends that.
steady_bridge() {
  have ip && ip link show docker0 >/dev/null 2>&1 || return 0
  ip link set docker0 address 02:42:ac:11:00:01 2>/dev/null || true
}

# A daemon that is killed leaves the NAT rules of networks that nobody removes any more. A later network with
# the same addresses is then masqueraded: inside it the answers go to this machine, and connections time out.
# A rule for a bridge that is not there serves nothing.
remove_stale_nat() {
  is_root && have iptables && have ip || return 0
  local rule bridge
  while read -r rule; do
    bridge=${rule#*! -o }
    bridge=${bridge%% *}
    ip link show "$bridge" >/dev/null 2>&1 && continue
    # shellcheck disable=SC2086 # a rule is several words
    iptables --wait -t nat -D ${rule#-A } 2>/dev/null || true
  done < <(iptables --wait -t nat -S POSTROUTING 2>/dev/null | grep -E ' ! -o br-[0-9a-f]{12} -j MASQUERADE$')
}

daemon_failed() { # WHAT HAPPENED
  [ ! -s "$dockerd_log" ] || tail -n 20 "$dockerd_log" >&2
  prepare_fail "$1; the end of $dockerd_log is above. Docker needs a kernel with cgroups, namespaces and overlayfs, and root."
}

prepare() {
  # rustup and Debian put programs where a bare shell does not look.
  PATH=$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin
  export PATH DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}"
  require_cargo
  # Two commands at once would install and build the same twice.
  { mkdir -p "$prepare_root/target" && [ -w "$prepare_root/target" ]; } 2>/dev/null ||
    prepare_fail "$(id -un) may not write to $prepare_root/target. It may belong to root, from an earlier run: give it back with chown, or remove it."
  exec 9<"$prepare_root/target"
  flock 9
  # Without root only a daemon that is there and open to this user will do: say so before all else.
  is_root || ! have docker || daemon_answers || start_daemon
  install_packages
  daemon_answers || start_daemon
  remove_stale_nat
  "$prepare_root/deploy/image/build.sh" test 9>&-
  exec 9>&-
}

prepare
