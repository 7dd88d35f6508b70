//! Promise P1, nothing lost and nothing twice, by figures: hob is killed at every place at which
//! something leaves a trace (`crash`), and whole stories are played under random faults on all
//! sides (`chaos`). `docs/reliability.md` says what that shows.

#[cfg(feature = "fail-points")]
mod chaos;
mod core;
mod keeper;
#[cfg(feature = "fail-points")]
mod line;
#[cfg(feature = "fail-points")]
mod scripts;
mod snapshot;
#[cfg(feature = "fail-points")]
mod within;

#[cfg(feature = "fail-points")]
mod crash;
