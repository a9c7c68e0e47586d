//! Folders that nobody but their user and root can change: what lies in them may be run.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use crate::{
    host::open,
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// Bits of a mode: others may write; the group may; only a file's owner may remove it.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;
/// The superuser, who can change anything.
const ROOT: u32 = 0;

/// Returns the real path of a file or folder that is ours, as are all folders that lead to it.
///
/// # Errors
/// Another user owns one of them or may write in it, or it is not there.
pub fn require(path: &Path) -> Result<PathBuf> {
    let what = |path: &Path| format!("{} cannot be read", path.shown());
    let real = fs::canonicalize(path).or_host(|| what(path))?;
    require_own(&real, &real.metadata().or_host(|| what(&real))?)?;
    // In a user namespace the superuser may have another number.
    let root = Path::new("/").metadata().map_or(ROOT, |root| root.uid());
    for above in real.ancestors().skip(1) {
        let folder = above.metadata().or_host(|| what(above))?;
        if folder.uid() != root {
            require_owner(above, &folder)?;
        }
        if folder.mode() & STICKY == 0 {
            require_mode(above, &folder)?;
        }
    }
    Ok(real)
}

/// Returns `true` if nobody but we and root can change a file.
pub(super) fn is_own(file: &Metadata) -> bool {
    require_own(Path::new(""), file).is_ok()
}

fn require_own(path: &Path, file: &Metadata) -> Result<()> {
    require_owner(path, file)?;
    require_mode(path, file)
}

fn require_owner(path: &Path, file: &Metadata) -> Result<()> {
    let us = geteuid().as_raw();
    if [us, ROOT].contains(&file.uid()) {
        return Ok(());
    }
    let (place, owner) = (path.shown(), file.uid());
    let fact = format!("{place} belongs to user {owner}, and what the cache holds would be run");
    Err(Problem::host(fact)
        .hint("set XDG_CACHE_HOME to a folder of your own, or run it as that user"))
}

fn require_mode(path: &Path, file: &Metadata) -> Result<()> {
    let group = file.mode() & GROUP_WRITES != 0 && !is_private(file.gid());
    if file.mode() & OTHERS_WRITE == 0 && !group {
        return Ok(());
    }
    let (place, mode) = (path.shown(), file.mode() & 0o7777);
    let fact = format!(
        "others may write in {place} (mode {mode:o}), and what the cache holds would be run"
    );
    Err(Problem::host(fact).hint(format!("chmod go-w {place}; if others were there, remove it")))
}

/// Returns `true` if a group has no member but us. Where every user has a group of his own, the
/// group may write what he makes.
fn is_private(group: u32) -> bool {
    let read = |file| open::read_text(file).unwrap_or_default();
    is_private_in(group, geteuid().as_raw(), &read("/etc/passwd"), &read("/etc/group"))
}

fn is_private_in(group: u32, user: u32, passwd: &str, groups: &str) -> bool {
    let number = |field: Option<&&str>| field.and_then(|field| field.parse::<u32>().ok());
    let fields = |line: &'_ str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let users: Vec<Vec<String>> = passwd.lines().map(fields).collect();
    let field = |user: &[String], at: usize| number(user.get(at).map(String::as_str).as_ref());
    let ours = users.iter().find(|line| field(line, 2) == Some(user));
    let name = ours.and_then(|line| line.first()).map_or("", String::as_str);
    let shared = users.iter().any(|l| field(l, 3) == Some(group) && field(l, 2) != Some(user));
    let line = groups.lines().map(fields).find(|line| field(line, 2) == Some(group));
    let members = line.as_ref().and_then(|line| line.get(3));
    let others = |members: &String| members.split(',').any(|m| !m.is_empty() && m != name);
    !shared && members.is_some_and(|members| !others(members))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_may_write_is_refused_wherever_it_is_above() {
        let folder = tempfile::tempdir().unwrap();
        let (above, cache) = (folder.path().join("a"), folder.path().join("a/cache"));
        fs::create_dir_all(&cache).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
        assert_eq!(require(&cache).unwrap(), fs::canonicalize(&cache).unwrap());
        for path in [&cache, &above] {
            mode(path, 0o777).unwrap();
            let problem = require(&cache).unwrap_err();
            let said = format!("others may write in {} (mode 777)", path.shown());
            assert!(problem.fact.contains(&said), "{problem}");
            assert!(problem.hint.unwrap().starts_with("chmod go-w "));
            mode(path, 0o755).unwrap();
        }
        // As /tmp is; but the cache itself may not be so.
        mode(&above, 0o1777).unwrap();
        require(&cache).unwrap();
        mode(&cache, 0o1777).unwrap();
        require(&cache).unwrap_err();
    }

    #[test]
    fn a_link_leads_to_what_is_judged() {
        let folder = tempfile::tempdir().unwrap();
        let [there, link] = ["there", "link"].map(|name| folder.path().join(name));
        fs::create_dir(&there).unwrap();
        std::os::unix::fs::symlink(&there, &link).unwrap();
        require(&link).unwrap();
        fs::set_permissions(&there, PermissionsExt::from_mode(0o702)).unwrap();
        require(&link).unwrap_err();
    }

    #[test]
    fn a_group_is_private_when_nobody_else_is_in_it() {
        let passwd = "root:x:0:0:::\nann:x:1000:1000:::\nbob:x:1001:50:::\n";
        let groups = "root:x:0:\nann:x:1000:ann\nstaff:x:50:\nmail:x:60:ann,bob\n";
        let private = |group| is_private_in(group, 1000, passwd, groups);
        assert!(private(1000) && !private(50) && !private(60) && !private(70));
    }
}
