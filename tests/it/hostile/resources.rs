//! Agents that take all they can get, or do not want to end.

use super::plants::{Expect, Plant, TIMED_OUT, plant};

use Expect::{Either, Pull};

/// These end by themselves.
pub const PLANTS: &[Plant] = &[
    plant("a memory hog", Either, r#"tail /dev/zero || true; work"#),
    plant("a disk filler", Either, r#"head -c 1073741824 /dev/zero >.git/fill || true; work"#),
    plant("a line of 64 MB", Pull, r#"work; head -c 67108864 /dev/zero | tr '\0' x >&3; echo >&3"#),
    plant(
        "children in sessions of their own, left behind",
        Pull,
        r#"
for i in 1 2 3; do
  setsid sh -c 'trap "" TERM HUP INT; while :; do date +%s%N >"$HOME/heartbeat-'$i'"; sleep 0.1; done' &
done
work; sleep 0.5"#,
    ),
];

/// These hob has to end.
pub const ENDLESS: &[Plant] = &[
    plant("a fork bomb", Either, r#"bomb() { bomb | bomb & }; bomb; sleep 60"#),
    plant(
        "SIGTERM ignored, with children in sessions of their own",
        TIMED_OUT,
        r#"
trap '' TERM HUP INT
for i in 1 2 3; do
  setsid sh -c 'trap "" TERM HUP INT; while :; do date +%s%N >"$HOME/heartbeat-'$i'"; sleep 0.1; done' &
done
while :; do sleep 1; done"#,
    ),
    plant(
        "output without end",
        TIMED_OUT,
        r#"
while :; do head -c 1000000 /dev/zero | tr '\0' y >&3; yes "a line that is no event" | head -c 1000000 >&3; sleep 1; done"#,
    ),
];
