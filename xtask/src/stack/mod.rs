//! Who exports, who imports: Module.symvers, the graph, the order. Pure: files in, facts out.
