// SPDX-License-Identifier: GPL-2.0

//! `EXPORT_SYMBOL` and its like for `#[no_mangle] extern "C"` functions, without a C file.
//!
//! Each macro takes the function as a prototype: `export_symbol_gpl!(fn half(u32) -> u32);`
//! It does not compile when there is no such function, when its ABI or its type is another, when
//! it is not `#[no_mangle]`, and when it is exported twice. `export.mk` gives the exports their
//! versions.

#![allow(unused_macros, reason = "a module needs some of them")]

/// Writes the entry that modpost reads: `___EXPORT_SYMBOL` in `include/linux/export.h` (7.3), on
/// a machine of 64 bits.
macro_rules! export_symbol_entry {
    ($license:literal, $namespace:expr, fn $name:ident($($argument:ty),*) $(-> $return:ty)?) => {
        const _: unsafe extern "C" fn($($argument),*) $(-> $return)? = $name;

        ::core::arch::global_asm!(
            concat!(".ifnes \"{symbol}\", \"", stringify!($name), "\""),
            concat!(".error \"", stringify!($name), " is exported and not #[no_mangle]\""),
            ".endif",
            ".pushsection .export_symbol, \"a\"",
            concat!("__export_symbol_", stringify!($name), ":"),
            concat!(".asciz \"", $license, "\""),
            concat!(".asciz \"", $namespace, "\""),
            ".balign 8",
            ".quad {symbol}",
            ".popsection",
            symbol = sym $name,
        );
    };
}

/// Exports a function for all modules.
macro_rules! export_symbol {
    (fn $($prototype:tt)*) => { export_symbol_entry!("", "", fn $($prototype)*); };
}

/// Exports a function for modules under a license that is compatible with the GPL.
macro_rules! export_symbol_gpl {
    (fn $($prototype:tt)*) => { export_symbol_entry!("GPL", "", fn $($prototype)*); };
}

/// Exports a function in a namespace: `export_symbol_ns_gpl!("HALF", fn half(u32) -> u32);`
macro_rules! export_symbol_ns_gpl {
    ($namespace:literal, fn $($prototype:tt)*) => {
        export_symbol_entry!("GPL", $namespace, fn $($prototype)*);
    };
}

/// Exports a function for the named modules alone: `"first,second"`, a `*` at the end of a name
/// stands for anything.
macro_rules! export_symbol_for_modules {
    ($modules:literal, fn $($prototype:tt)*) => {
        export_symbol_entry!("GPL", concat!("module:", $modules), fn $($prototype)*);
    };
}
