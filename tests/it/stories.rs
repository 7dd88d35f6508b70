//! Stories: what people do on GitHub, and what comes of it. Each is played in a world of its own, on
//! real Docker and real git.

mod account;
mod agent_files;
mod agents;
mod base;
mod blocked;
mod budgets;
mod cards;
mod catch_up;
mod check_runs;
mod checkout;
mod checks;
mod colleague;
mod commanding;
mod commits;
mod door;
mod egress;
mod failures;
mod happy;
mod keeping;
mod long;
mod operating;
mod policy;
mod proposing;
mod pulls;
mod restart;
mod reviewing;
mod seeing;
mod settings;
mod shutdown;
mod status;
mod stopping;
mod sub_issues;
mod talking;
mod templates;
mod writes;
