//! The kernel's load checks, in its order, as pure functions: would this file load on that kernel?
//!
//! [`kernel_facts::KernelFacts`] is what is known of the kernel, [`kernel_state::KernelState`] what is loaded there and
//! what it has logged once, [`kernel_model::KernelModel`] loads one file after the other, and a
//! [`verdict::Verdict`] says what the kernel would do: load it, refuse it with this errno and these
//! messages, or that nobody can know, and why.
//!
//! The claim is "would load", never "would work": the return value of the module's own init,
//! memory, security modules and other modules' notifiers are known to the running kernel only.
//!
//! Invariant: nothing here starts a process, or reads anything but the bytes it is given.

mod checks;
pub mod errno;
pub mod hint;
pub mod kernel_facts;
pub mod kernel_model;
pub mod kernel_state;
pub mod load_info;
mod modinfo_strings;
mod module_exports;
pub mod raw_elf;
pub mod struct_module;
pub mod taints;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod version_rules;
