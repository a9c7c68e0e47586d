//! Symbol namespaces: which modules may import from one.

use crate::module_name::underscored;

/// The prefix that `EXPORT_SYMBOL_FOR_MODULES` gives its list (`include/linux/export.h`).
const MODULES_PREFIX: &str = "module:";

/// The modules that alone may use the symbols of a `module:` namespace, which no module imports;
/// none of an ordinary one.
pub fn kept_for(namespace: &str) -> Option<&str> {
    namespace.strip_prefix(MODULES_PREFIX)
}

/// The patterns of a `module:a,b-*` namespace; `None` for an ordinary one.
fn module_patterns(namespace: &str) -> Option<impl Iterator<Item = &str>> {
    kept_for(namespace).map(|list| list.split(','))
}

/// `true` if a module of this name may use symbols of a `module:` namespace: each pattern is a name
/// or, with a `*` at its end, the beginning of one; `-` and `_` are the same
/// (`verify_module_namespace()`, `kernel/module/main.c` of 7.3).
pub fn admits_module(namespace: &str, module: &str) -> bool {
    let Some(mut patterns) = module_patterns(namespace) else { return false };
    let module = underscored(module);
    patterns.any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => module.starts_with(&underscored(beginning)),
        None => module == underscored(pattern),
    })
}

/// `true` if every module that could import from `old` can import from `new` unchanged.
pub(crate) fn still_importable(old: &str, new: &str) -> bool {
    if old == new || new.is_empty() {
        return true;
    }
    let (Some(mut old), Some(_)) = (module_patterns(old), module_patterns(new)) else {
        return false;
    };
    old.all(|pattern| covers(new, pattern))
}

/// `true` if the list `namespace` admits all that one pattern of another list admitted.
fn covers(namespace: &str, pattern: &str) -> bool {
    let Some(beginning) = pattern.strip_suffix('*') else {
        return admits_module(namespace, pattern);
    };
    let Some(mut patterns) = module_patterns(namespace) else { return false };
    let beginning = underscored(beginning);
    patterns.any(|new| {
        new.strip_suffix('*').is_some_and(|new| beginning.starts_with(&underscored(new)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_admits_names_and_beginnings() {
        assert!(admits_module("module:kvm,kvm-amd", "kvm_amd"));
        assert!(admits_module("module:snd-*", "snd_sof"));
        assert!(!admits_module("module:snd-*", "sound"));
        assert!(!admits_module("SND", "snd"));
    }

    #[test]
    fn a_wider_list_breaks_nobody() {
        assert!(still_importable("module:a", "module:a,b"));
        assert!(still_importable("module:a-x*", "module:a_*"));
        assert!(!still_importable("module:a,b", "module:a"));
        assert!(!still_importable("module:a*", "module:a"));
        assert!(still_importable("A", ""));
        assert!(!still_importable("", "A"));
        assert!(!still_importable("A", "B"));
        assert!(!still_importable("A", "module:a"));
    }
}
