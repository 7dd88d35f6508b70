//! Waiting for something that a world may never come to: told in words, so that the case has its
//! name and its log. `World`'s own waits end the whole test, which in a matrix of cases would hide
//! which one it was.

use std::time::Duration;

/// How long a world may take from one thing to the next. Far more than that takes with several
/// starts of hob on a machine that does other work: a slow machine is no defect of hob's.
pub const LONG: u64 = 180;

/// Looks until something is there, for so many seconds at most.
///
/// # Errors
/// What was waited for and did not come.
pub async fn within<T>(seconds: u64, what: &str, look: impl AsyncFn() -> Option<T>) -> Result<T, String> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), looking)
        .await
        .map_err(|_| format!("waited {seconds} s in vain for {what}"))
}
