//! Who exports, who imports: Module.symvers, the graph, the order. Pure: files in, facts out.
//!
//! Invariant: nothing here starts a process, or reads or writes anything but the files and
//! directories it is given.

pub mod dependency_info;
pub mod depmod_config;
pub mod graph;
pub mod load_order;
pub mod module_file;
pub mod module_name;
pub mod modules_dep;
pub mod modules_lists;
pub mod namespace;
pub mod symtype_parser;
pub mod symtypes;
pub mod symvers;
pub mod symvers_diff;
pub mod version_pattern;
