//! Who exports, who imports: Module.symvers, the graph, the order. Pure: files in, facts out.
//!
//! Invariant: nothing here starts a process, or reads or writes anything but the files and
//! directories it is given.

pub mod cache;
pub mod compare;
pub mod draw;
pub mod graph;
pub mod links;
pub mod modules_dep;
pub mod namespace;
pub mod order;
pub mod read;
pub mod symtypes;
pub mod symvers;
pub mod tree;
pub mod typetext;
