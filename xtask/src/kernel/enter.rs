//! The script that enters the private root with a kernel in place.

use std::path::{Path, PathBuf};

use crate::{
    host::{cache::write_script, file_system::names, root::Root},
    problem::Result,
};

/// Writes the script that enters the private root with a kernel in place: what every command of a
/// build for it goes through, also by hand. `folder` is laid out as a Debian system, and each
/// folder of its `usr/src`, `usr/lib` and `usr/lib/modules` is seen there; `more` are further
/// folders to see.
pub(super) fn write_enter(root: &Root, folder: &Path, more: &[(String, PathBuf)]) -> Result<()> {
    let mut binds = more.to_vec();
    for parent in ["usr/src", "usr/lib", "usr/lib/modules"] {
        let mut names = names(&folder.join(parent))?;
        // The folder of all modules stays the root's: several kernels may be in it.
        names.retain(|name| name != "modules");
        for name in names {
            let inside = Path::new("/").join(parent).join(&name);
            binds.push((format!("$here/{parent}/{name}"), inside));
        }
    }
    let mut show = String::new();
    for (host, inside) in &binds {
        root.mount_point(inside)?;
        show.push_str(&format!("    --ro-bind \"{host}\" {} \\\n", inside.to_string_lossy()));
    }
    let text = format!(
        "#!/bin/sh\n\
         # Runs a command in the private root with this kernel in place:\n\
         #   enter [OPTION OF BWRAP]... -- COMMAND [ARGUMENT]...\n\
         # with another kernel of the same root beside it:  THROUGH=OTHER/enter enter ...\n\
         here=$(dirname \"$(readlink -f \"$0\")\")\n\
         through=${{THROUGH:-$here/../../{}/enter}}\n\
         unset THROUGH\n\
         exec \"$through\" \\\n{show}    \"$@\"\n",
        Root::name(root.suite)
    );
    write_script(&folder.join("enter"), &text)
}
