//! Whether the loops come round. A loop feels its pulse each time; one that has not for longer than
//! its longest honest step hangs. What follows from that is decided in `serve.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The pulse of one loop. Clones are the same pulse.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    name: &'static str,
    within: Duration,
    last: Arc<Mutex<Instant>>,
}

impl Heartbeat {
    /// A pulse that has just been felt, and must be felt again within this time.
    pub fn new(name: &'static str, within: Duration) -> Heartbeat {
        Heartbeat { name, within, last: Arc::new(Mutex::new(Instant::now())) }
    }

    /// The loop's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The loop is alive.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the loop hangs.
    pub fn is_late(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > self.within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_late_until_it_beats() {
        let pulse = Heartbeat::new("loop", Duration::from_millis(20));
        assert!(!pulse.is_late());
        std::thread::sleep(Duration::from_millis(30));
        assert!(pulse.is_late());
        pulse.clone().beat();
        assert!(!pulse.is_late());
    }
}
