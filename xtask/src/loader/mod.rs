//! The kernel's load checks, in its order, as pure functions: would this file load on that kernel?
//!
//! [`target::Target`] is what is known of the kernel, [`world::World`] what is loaded there and
//! what it has logged once, [`play::Play`] loads one file after the other, and a
//! [`verdict::Verdict`] says what the kernel would do: load it, refuse it with this errno and these
//! messages, or that nobody can know, and why.
//!
//! The claim is "would load", never "would work": the return value of the module's own init,
//! memory, security modules and other modules' notifiers are known to the running kernel only.
//!
//! Invariant: nothing here starts a process, or reads anything but the bytes it is given.

pub mod bytes;
mod checks;
pub mod errno;
mod exports;
pub mod image;
pub mod load;
mod modinfo;
pub mod play;
pub mod remedy;
pub mod rules;
pub mod taints;
pub mod target;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod whole;
pub mod world;
