//! The name by which the user calls this program.

use std::{borrow::Cow, sync::OnceLock};

/// The name of it in a checkout, and in the texts of this program.
const IN_A_CHECKOUT: &str = "cargo xtask";

static NAME: OnceLock<&'static str> = OnceLock::new();

/// Takes the name of a program that was installed.
pub fn is_called(name: &'static str) {
    // Only the first counts: a program has one name.
    let _ = NAME.set(name);
}

/// A text of ours, with the commands in it as the user can type them.
pub fn as_typed(text: &str) -> Cow<'_, str> {
    match NAME.get() {
        Some(name) => text.replace(IN_A_CHECKOUT, name).into(),
        None => text.into(),
    }
}
