//! The words of a build that failed at which a person would point.

use std::path::Path;

/// The number of lines that are shown as a reason.
const WORDS_MAX: usize = 3;

/// The directness with which a line tells why a build failed: the least is the most direct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// A compiler, a linker or modpost names the fault.
    Fault,
    /// A compiler names it in a header of the kernel's.
    Header,
    /// make finds one in a makefile, or no file where it says that there is one.
    Makefile,
    /// A script or a program that a makefile runs ends with it.
    Script,
    /// make says which target failed, or dkms that make did.
    Passed,
}

impl Weight {
    /// The weight of a line that tells of an error; `folder` is the one that was built.
    fn of(line: &str, folder: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|part| line.contains(part));
        let is_noise = has(&["warnings being treated as errors", "*** Waiting", "*** Deleting"]);
        if is_noise || line.starts_with("error: aborting") {
            None
        } else if line.starts_with("Error! ") || line.contains("*** [") {
            Some(Self::Passed)
        } else if has(&["error: ", "error[", "ERROR: modpost", "undefined reference to"]) {
            let is_own = !line.starts_with('/') || line.starts_with(folder);
            Some(if is_own { Self::Fault } else { Self::Header })
        } else if line.contains("*** ") {
            Some(Self::Makefile)
        } else if has(&["ERROR: ", "Error: ", "not found", "Permission denied", "Read-only file"]) {
            Some(Self::Script)
        } else {
            None
        }
    }
}

/// The lines of what Kbuild said that tell most directly of an error, the first of them.
pub(super) fn telling(said: &str, folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let best = lines.iter().filter_map(|line| Weight::of(line, &folder)).min();
    let telling = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| best.is_some() && Weight::of(line, &folder) == best);
    let words = telling.map(|(at, line)| {
        match lines.get(at + 1).and_then(|next| next.strip_prefix("--> ")) {
            // rustc names the place on a line of its own.
            Some(place) => format!("{place}: {line}"),
            None => (*line).to_owned(),
        }
    });
    words.take(WORDS_MAX).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: &str) -> String {
        telling(said, Path::new("/stack"))
    }

    #[test]
    fn the_most_direct_lines_about_errors_are_taken() {
        let said =
            "  CC [M]  a.o\na.c:3:1: error: expected ';'\n  3 | }\nmake[2]: *** [a.o] Error 1\n";
        assert_eq!(words(said), "a.c:3:1: error: expected ';'");
        let said =
            "error[E0425]: cannot find `a`\n --> a.rs:3:1\n\nerror: aborting due to 1 error\n";
        assert_eq!(words(said), "a.rs:3:1: error[E0425]: cannot find `a`");
        assert_eq!(words("make: *** [a.o] Error 1"), "make: *** [a.o] Error 1");
        let said = "! Error: no iptables\nError! Bad return status for module build\n";
        assert_eq!(words(said), "! Error: no iptables");
        assert_eq!(words("Error! Bad conf file.\n"), "Error! Bad conf file.");
        assert_eq!(words("  LD [M]  a.ko\n"), "");
        let said = "/bin/sh: 1: svnversion: not found\nmake[3]: *** No rule to make target 'b.o', \
                    needed by 'a.o'.  Stop.\nmake[2]: *** [Makefile:3: a] Error 2\n\
                    make: *** Waiting for unfinished jobs....\n";
        assert!(words(said).starts_with("make[3]: *** No rule to make target 'b.o'"));
        assert!(!words(said).contains("Error 2"));
        let said = "a.c:3:1: error: unused variable 'x' [-Werror=unused-variable]\n\
                    cc1: all warnings being treated as errors\n";
        assert!(words(said).ends_with("[-Werror=unused-variable]"));
        let said = "ld: a.o: in function `f':\na.c:3:(.text+0x1): undefined reference to `g'\n\
                    make[3]: *** [x: a.ko] Error 1\n";
        assert!(words(said).ends_with("undefined reference to `g'"));
        let said = "ERROR: modpost: \"gone\" [a.ko] undefined!\nmake[3]: *** [x: y] Error 1\n";
        assert_eq!(words(said), "ERROR: modpost: \"gone\" [a.ko] undefined!");
        let said = "Makefile:3: *** two builders at once.  Stop.\nmake: *** [x: y] Error 2\n";
        assert_eq!(words(said), "Makefile:3: *** two builders at once.  Stop.");
        let said = "/usr/src/a.h:9:1: error: passing argument 5\n/stack/a.c:3:1: error: too few\n";
        assert_eq!(words(said), "/stack/a.c:3:1: error: too few");
        assert_eq!(words("/usr/src/a.h:9:1: error: one\n"), "/usr/src/a.h:9:1: error: one");
    }
}
