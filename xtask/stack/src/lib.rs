//! Several modules: which exports what, which needs which, and what loads first.
//!
//! Start with [`DependencyInfo::read`](dependency_info::DependencyInfo::read), which takes out of a
//! module's bytes what ties it to others. A [`Graph`](graph::Graph) joins many of them, and
//! [`load_order`](load_order::load_order) puts them in modprobe's order, with the reason for every
//! edge; [`modules_dep`] and [`modules_lists`] write depmod's files.
//! [`Symvers`](symvers::Symvers) is a `Module.symvers`; [`symvers_diff`] says what a change of it
//! breaks, and [`symtypes`] which change of a type changed a CRC.
//!
//! `examples/load_order.rs` orders two modules.
//!
//! Invariant: the crate is given bytes and returns facts. It starts no process and no thread, and
//! opens no file.

pub mod built_in;
pub mod dependency_info;
pub mod depmod_config;
pub mod depmod_table;
mod fnmatch;
pub mod graph;
pub mod kmod_rules;
pub mod line_error;
pub mod load_order;
pub mod modprobe;
mod modprobe_cmdline;
pub mod modprobe_config;
pub mod module_file;
pub mod module_name;
pub mod modules_dep;
pub mod modules_lists;
pub mod namespace;
mod symtype_diff;
pub mod symtype_parser;
pub mod symtypes;
pub mod symvers;
pub mod symvers_diff;
pub mod version_pattern;
mod wrapped_lines;
