//! The integration tests: one binary, so that the world is built once.

mod containers;
mod containment;
mod docs;
mod git;
mod github_client;
mod hostile;
mod payloads;
mod real_claude;
mod reliability;
mod roles;
mod slow_texts;
mod store;
mod stories;
mod tidy;
mod world;
mod world_github;
