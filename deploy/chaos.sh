#!/usr/bin/env bash
# Plays random schedules of whole stories with faults on all sides (tests/it/reliability/chaos.rs), and kills the Docker daemon itself
# now and then, which the tests that run beside others do not. Ends with a line of figures; the seeds that failed stand before it.
# Needs what deploy/test.sh needs. As root it kills the daemon and fills small disks; without root it does neither.
#
#   deploy/chaos.sh [SCHEDULES [FIRST SEED]]     default: 1000 schedules, from seed 1
#   HOB_CHAOS_AT_ONCE   worlds at once; default 8
#   HOB_CHAOS_DAEMON    seconds between two kills of the daemon; default 120, 0 for none
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

schedules=${1:-1000}
seed=${2:-1}
every=${HOB_CHAOS_DAEMON:-120}
case $schedules$seed$every in
  *[!0-9]*)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh
# A folder of its own, so that nothing that is built meanwhile changes the program under test.
export CARGO_TARGET_DIR=${HOB_CHAOS_TARGET:-$PWD/target/chaos-build}
cargo test --quiet --features fail-points --test it --no-run

# Kills the daemon as a crash would, and starts it again as an init system would.
kill_daemon_now_and_then() {
  local pid
  while sleep "$every"; do
    pid=$(pid_of /var/run/docker.pid dockerd) || continue
    kill -KILL "$pid" || continue
    echo "the Docker daemon was killed"
    # Its containerd dies with it, a little later; a daemon that is started before that finds it and gives up.
    until (start_daemon) >/dev/null 2>&1; do sleep 1; done
    echo "and is back"
  done
}

if [ "$every" -gt 0 ] && is_root && [ ! -d /run/systemd/system ]; then
  kill_daemon_now_and_then &
  killer=$!
  # The daemon that it has started outlives it.
  trap 'kill "$killer" 2>/dev/null || true; daemon_answers || start_daemon; remove_stale_nat' EXIT
fi

HOB_CHAOS_SCHEDULES=$schedules HOB_CHAOS_SEED=$seed HOB_CHAOS_AT_ONCE=${HOB_CHAOS_AT_ONCE:-8} \
  cargo test --quiet --features fail-points --test it -- reliability::chaos --nocapture
