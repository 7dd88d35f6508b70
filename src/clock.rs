//! The time of day. Everything in hob that compares with a clock, or writes a time down, asks here,
//! so that a test can make the clock jump. How long something takes is measured with tokio's own
//! clock, which never jumps, and has no place here.

use std::time::Duration;

use jiff::Timestamp;

/// The current time.
pub fn now() -> Timestamp {
    shifted(Timestamp::now())
}

/// Now, in milliseconds since 1970, as the store keeps it.
pub fn now_ms() -> i64 {
    now().as_millisecond()
}

/// How long it is until a moment as the store keeps it; a moment at least, so that nobody waits for
/// what is over in a circle.
pub fn until_ms(at: i64) -> Duration {
    Duration::from_millis(u64::try_from(at.saturating_sub(now_ms())).unwrap_or(0).max(1))
}

#[cfg(not(feature = "fail-points"))]
fn shifted(time: Timestamp) -> Timestamp {
    time
}

/// The clock is wrong by as many seconds as the file named by `HOB_CLOCK_SHIFT` holds.
#[cfg(feature = "fail-points")]
fn shifted(time: Timestamp) -> Timestamp {
    let Ok(path) = std::env::var("HOB_CLOCK_SHIFT") else { return time };
    let seconds = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i64>().ok());
    let shift = jiff::SignedDuration::from_secs(seconds.unwrap_or(0));
    time.checked_add(shift).unwrap_or(time)
}
