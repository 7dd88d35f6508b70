//! hob: a self-hosted bot that turns labelled GitHub issues into pull requests. The floors are
//! drawn in `docs/architecture.md`; a module imports only from floors below its own.

// Floor 0: settings, names, events, places on disk, the clock, the loops' pulse and lanes, places
// to fail at.
pub mod clock;
pub mod config;
pub mod event;
pub mod fail_point;
pub mod heartbeat;
pub mod ids;
pub mod lanes;
pub mod markdown;
pub mod paths;

// Floor 1: the domain and its words, pure.
pub mod agent;
pub mod command;
pub mod message;
pub mod prompt;
pub mod redact;
pub mod story;

// Floor 2: adapters to the world. They do not know each other.
pub mod account;
pub mod container;
pub mod egress;
pub mod exchange;
pub mod git;
pub mod github;
pub mod store;

// Floor 3: what hob does.
pub mod catch_up;
pub mod deliver;
pub mod intake;
pub mod sweep;
pub mod work;

// Floor 4: the process.
pub mod http;
pub mod serve;

// Floor 5: the command line.
pub mod cli;
