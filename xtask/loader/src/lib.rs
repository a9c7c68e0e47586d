//! The kernel's load checks, in its order, as pure functions: would this file load on that kernel?
//!
//! Where to start:
//!
//! | question | place |
//! |---|---|
//! | what is known of a kernel | [`kernel_facts::KernelFacts`] |
//! | load one file after the other | [`kernel_model::KernelModel::finit_module`] |
//! | the answer: loads, refused with which errno and which messages, or not decidable | [`verdict::Verdict`] |
//! | what differs between kernel versions | [`version_rules::VersionRules`] |
//! | what one load changes for the next | [`kernel_state::KernelState`] |
//! | the order of the checks | `checks/mod.rs`; one small function each |
//! | whether a signature is good, and by which keyring | [`verify_signature`] |
//! | the words of a kernel's command line that decide | `kernel_params.rs` |
//! | GPL-only symbols | [`gpl_only`] |
//! | what to do about a refusal | `hint.rs` |
//!
//! ```
//! use loader::{kernel_facts::KernelFacts, kernel_model::KernelModel, load_info::LoadRequest};
//! use loader::{errno::Errno, verdict::Answer};
//!
//! let kernel = KernelFacts::new("7.3.4", "CONFIG_MODULES=y\nCONFIG_SMP=y\n").unwrap();
//! let mut model = KernelModel::new(&kernel);
//! let verdict = model.finit_module(LoadRequest { file: b"no module", ..LoadRequest::default() });
//! assert_eq!(verdict.answer, Answer::Refused(Errno::ENOEXEC));
//! assert_eq!(verdict.messages, ["Invalid ELF header len 9"]);
//! ```
//!
//! The claim is "would load", never "would work": the return value of the module's own init,
//! memory, security modules and other modules' notifiers are known to the running kernel only.
//! Where the kernel follows what it has not checked, the answer is [`verdict::Answer::Unknown`].
//!
//! Nothing here starts a process, or reads anything but the bytes it is given.

pub mod btf;
pub mod check_id;
mod checks;
pub mod decompress;
pub mod errno;
pub mod gpl_only;
mod hint;
pub mod kernel_facts;
pub mod kernel_model;
pub mod kernel_params;
pub mod kernel_state;
pub mod load_info;
mod load_module;
pub mod log_line;
mod modinfo_strings;
mod module_exports;
mod raw_elf;
pub mod signature;
pub mod struct_module;
pub mod taints;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod version_rules;
mod xz_dec;

pub use load_module::{early_verdict, loaded_module, verify_signature};
