//! Tests against the git program and its own HTTP server. `world.rs` makes the repositories.

mod importing;
mod joining;
mod measuring;
mod mirroring;
mod pushing;
mod rewriting;
mod workspaces;
mod world;
