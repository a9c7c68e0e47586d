//! Who exports, who imports: Module.symvers, the graph, the order. Pure: files in, facts out.

pub mod compare;
pub mod namespace;
pub mod symvers;
