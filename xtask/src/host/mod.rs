//! The machine: running commands, the cache, packages, the private Debian root.
