//! `doctor` on a machine with nothing, and on one with every program: their search path is ours.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

/// Returns the words of `doctor` where only these programs are. Each does nothing but print its
/// version.
fn doctor(folder: &Path, programs: &[&str]) -> String {
    let path = folder.join("bin");
    fs::create_dir_all(&path).unwrap();
    for program in programs {
        let file = path.join(program);
        fs::write(&file, format!("#!/bin/sh\necho \"{program} 1.0 $*\"\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("doctor")
        .current_dir(folder)
        .env("PATH", &path)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let said = String::from_utf8(output.stdout).unwrap();
    // The superuser needs no uidmap, and is not asked whether mmdebstrap may make users.
    let mut is_asked = true;
    let asked = said.lines().filter(|line| {
        if !line.starts_with(' ') {
            is_asked = !line.contains(" newuidmap ") && !line.contains(" bootstrap ");
        }
        is_asked
    });
    let mut said = String::new();
    for line in asked {
        writeln!(said, "{}", line.replace(&folder.display().to_string(), "FOLDER")).unwrap();
    }
    format!("{said}(exit status) {}\n", output.status.code().unwrap())
}

#[test]
fn doctor_says_what_is_missing_and_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = doctor(folder.path(), &[]);
    let programs = ["cargo", "mmdebstrap", "bwrap", "newuidmap", "tar"];
    let all = doctor(folder.path(), &programs);
    super::hold("doctor", "txt", format!("{nothing}\nwith {}\n{all}", programs.join(", ")));
}
