//! A directory of modules: found as depmod finds them, read side by side, remembered, judged.

pub mod abi_files;
pub mod aliases;
pub mod depmod_files;
pub mod importers;
pub mod judge;
pub mod kmod;
pub mod load_plan;
pub mod modprobe_files;
pub mod picture;
pub mod scan;
pub mod scan_cache;
pub mod section_reader;
pub mod walk;
