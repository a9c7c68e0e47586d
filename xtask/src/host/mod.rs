//! The machine: running commands, the cache, packages, the private Debian root.

pub mod beneath;
pub(crate) mod builder;
pub mod cache;
pub mod diagnosis;
pub mod entry;
pub mod file_system;
mod limits;
pub mod lock;
pub mod manifest;
pub mod open;
pub mod own_tools;
pub mod ownership;
pub mod packages;
pub mod process;
pub mod program;
pub mod progress;
pub mod root;
pub mod root_kmod;
pub mod run;
pub mod sandbox;
mod seccomp;
mod terminal;
pub mod user_namespaces;
