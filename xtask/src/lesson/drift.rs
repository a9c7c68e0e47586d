//! Drift: a page differs because newer programs speak than when it was blessed.
//!
//! The archive's kernels, kmod and QEMU change under the book. A difference is drift only when at
//! least one of the programs is newer than the page says, and none is older: the same programs
//! that say something else are a failure.

use std::{cmp::Ordering, collections::BTreeMap};

/// The programs that are newer now, each with both versions; none when that explains no
/// difference. Both texts are of the form
/// `Linux 7.3.4 (`stock`), kmod 34.2, QEMU 10.0.13; Linux 7.2.13 (`sid`), kmod 34.2`.
pub fn newer(blessed: &str, now: &str) -> Option<String> {
    let (blessed, now) = (versions(blessed), versions(now));
    if blessed.keys().ne(now.keys()) {
        return None;
    }
    let mut newer = Vec::new();
    for (program, then) in &blessed {
        match compare(then, &now[program]) {
            Ordering::Less => newer.push(format!("{program} {then}, now {}", now[program])),
            Ordering::Equal => (),
            Ordering::Greater => return None,
        }
    }
    (!newer.is_empty()).then(|| newer.join("; "))
}

/// The version of each program, by its name and the kernel that it was used with.
fn versions(text: &str) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    let programs = text.strip_prefix("Said by ").unwrap_or(text).trim_end_matches('.');
    for kernel in programs.split("; ") {
        let name = kernel.split(['(', ')']).nth(1).unwrap_or_default();
        for program in kernel.split(", ") {
            let mut words = program.split(' ');
            let (program, version) = (words.next(), words.next().filter(|word| !word.is_empty()));
            if let (Some(program), Some(version)) = (program, version) {
                versions.insert(format!("{program} ({name})"), version.into());
            }
        }
    }
    versions
}

/// Compares versions, numbers by their value: 7.3.10 is newer than 7.3.9.
fn compare(a: &str, b: &str) -> Ordering {
    let mut pairs = parts(a).into_iter().zip(parts(b));
    let first =
        pairs.find_map(|((a, n), (b, m))| Some(n.cmp(&m).then(a.cmp(b))).filter(|o| o.is_ne()));
    first.unwrap_or_else(|| parts(a).len().cmp(&parts(b).len()))
}

/// A version's words and numbers in turn.
fn parts(version: &str) -> Vec<(&str, u64)> {
    let split = version.split(['.', '-', '+', '~', '_']);
    split.map(|part| part.parse().map_or((part, 0), |number| ("", number))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLESSED: &str =
        "Said by Linux 7.3.9+deb13-amd64 (`stock`), kmod 34.2; Linux 7.2.1 (`sid`), kmod 35.";

    #[test]
    fn a_newer_program_is_named_with_both_versions() {
        let now = BLESSED.replace("7.3.9", "7.3.10");
        let said = newer(BLESSED, &now);
        assert_eq!(said.unwrap(), "Linux (`stock`) 7.3.9+deb13-amd64, now 7.3.10+deb13-amd64");
        let both = now.replace("kmod 35", "kmod 35.1");
        assert!(newer(BLESSED, &both).unwrap().ends_with("; kmod (`sid`) 35, now 35.1"));
    }

    #[test]
    fn the_same_an_older_and_another_program_explain_nothing() {
        assert_eq!(newer(BLESSED, BLESSED), None);
        assert_eq!(newer(BLESSED, &BLESSED.replace("7.3.9", "7.3.8")), None);
        let one_older = BLESSED.replace("7.3.9", "7.3.10").replace("kmod 35", "kmod 34");
        assert_eq!(newer(BLESSED, &one_older), None);
        assert_eq!(newer(BLESSED, &BLESSED.replace("`sid`", "`lab`")), None);
        assert_eq!(newer(BLESSED, ""), None);
        assert_eq!(newer("Linux  (`lab`)", "Linux 7.3 (`lab`)"), None);
    }
}
