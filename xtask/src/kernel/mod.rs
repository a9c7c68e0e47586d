//! A kernel to build for and boot: where it comes from, its prepared tree, its facts.
