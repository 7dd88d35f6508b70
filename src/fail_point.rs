//! Places at which a test can end this process, or stop it for a while: before and after everything
//! that leaves a trace outside of hob's memory. They exist in builds with the feature `fail-points`
//! only; in every other build [`reach`] is an empty function. Names are `LAYER.WHAT.before` and
//! `LAYER.WHAT.after`.
//!
//! With the feature, three variables of the environment are read:
//!
//! - `HOB_FAIL_POINTS_TO=FILE` appends the name of each place to a file, as it is reached;
//! - `HOB_KILL_AT=NAME#N` sends this process SIGKILL when it reaches a place for the Nth time;
//! - `HOB_STOP_AT=NAME#N` sends it SIGSTOP there, once.

#[cfg(all(feature = "fail-points", not(debug_assertions)))]
compile_error!("the feature `fail-points` is for tests; it must not get into a release build");

/// Which side of an act a place is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The act has not begun.
    Before,
    /// It is over, and nobody has been told.
    After,
}

/// An act with a place on each side of it.
pub fn around<T>(layer: &str, what: &str, act: impl FnOnce() -> T) -> T {
    reach(layer, what, Timing::Before);
    let result = act();
    reach(layer, what, Timing::After);
    result
}

/// A place named `layer.what.when` is reached.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub fn reach(_layer: &str, _what: &str, _when: Timing) {}

#[cfg(feature = "fail-points")]
pub use armed::reach;

#[cfg(feature = "fail-points")]
mod armed {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use nix::sys::signal::{Signal, raise};

    use super::Timing;

    struct Plan {
        record: Option<std::fs::File>,
        signals: Vec<(String, u32, Signal)>,
        reached: HashMap<String, u32>,
    }

    /// A place named `layer.what.when` is reached.
    pub fn reach(layer: &str, what: &str, when: Timing) {
        static PLAN: OnceLock<Mutex<Plan>> = OnceLock::new();
        let when = match when {
            Timing::Before => "before",
            Timing::After => "after",
        };
        let name = format!("{layer}.{}.{when}", what.replace([' ', '#'], "-"));
        let signal = {
            let mut plan = PLAN.get_or_init(plan).lock().unwrap_or_else(PoisonError::into_inner);
            let count = plan.reached.entry(name.clone()).or_default();
            *count += 1;
            let count = *count;
            if let Some(record) = &mut plan.record {
                let _ = writeln!(record, "{name}");
            }
            let planned = plan.signals.iter().find(|(at, nth, _)| *at == name && *nth == count);
            planned.map(|(_, _, signal)| *signal)
        };
        if let Some(signal) = signal {
            // SIGKILL and SIGSTOP reach the whole process before `raise` returns.
            let _ = raise(signal);
        }
    }

    fn plan() -> Mutex<Plan> {
        let record = std::env::var("HOB_FAIL_POINTS_TO")
            .ok()
            .and_then(|path| std::fs::OpenOptions::new().create(true).append(true).open(path).ok());
        let wanted = [("HOB_KILL_AT", Signal::SIGKILL), ("HOB_STOP_AT", Signal::SIGSTOP)];
        let signals = wanted.into_iter().filter_map(|(variable, signal)| {
            let text = std::env::var(variable).ok()?;
            let (name, nth) = text.rsplit_once('#')?;
            Some((name.to_owned(), nth.parse().ok()?, signal))
        });
        Mutex::new(Plan { record, signals: signals.collect(), reached: HashMap::new() })
    }
}
