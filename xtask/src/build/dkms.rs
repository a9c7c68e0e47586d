//! A stack built by dkms, as its dkms.conf says.
//!
//! dkms.conf is a shell script, whose meaning is what dkms makes of it: so the dkms of the private
//! root reads it, within the sandbox of builds and nowhere else. dkms has its three trees within
//! the tree of the build, and what it would install there is what is taken out.

use std::path::Path;

use super::workspace::Workspace;
use crate::{
    host::run::Run,
    kernel::Kernel,
    problem::{Problem, Result},
};

/// The file that makes a folder a package of dkms.
pub(super) const CONF: &str = "dkms.conf";
/// The folder of the sources within the tree: dkms copies all of it, and its own trees lie beside.
pub(super) const SOURCES: &str = "src";
/// The status by which dkms says that a package is not for a kernel.
const EXCLUDED: i32 = 77;

/// The script of a build, in the tree.
const SCRIPT: &str = "by-dkms.sh";

/// The build: `by-dkms.sh RELEASE KDIR`.
///
/// - `--force` keeps the hooks around an installation from ending it: PRE_INSTALL works on the
///   system, and the sandbox has none.
/// - dkms also ends with 77 when PRE_BUILD does (`run_build_script()` of dkms 3.2.2).
/// - modules.order has the modules as dkms installs them, in the order of dkms.conf.
const TEXT: &str = r#"here=$PWD release=$1 kdir=$2
run() {
    dkms "$@" -k "$release" --kernelsourcedir "$kdir" \
        --sourcetree "$here/sources" --dkmstree "$here/dkms" --installtree "$here/modules"
}
rm -rf sources dkms modules modules.order Module.symvers
mkdir -p sources dkms "modules/$release" || exit
run build "$here/src" 2> errors
status=$?
cat errors >&2
if [ $status -ne 0 ]; then
    sed "s|$here/dkms/[^/]*/[^/]*/build/||g" dkms/*/*/build/make.log 2> /dev/null
    [ $status -ne 77 ] || grep -q 'includes a BUILD_EXCLUSIVE directive' errors || status=1
    exit $status
fi
built=$(echo dkms/*/*/"$release"/*/module)
package=${built#dkms/}
run install --force "${package%/"$release"/*}" > installed 2>&1 || { cat installed; exit 1; }
sed -n 's/^Installing //p' installed > modules.order
mv "$built/Module.symvers" . 2> /dev/null
rm -rf sources dkms
"#;

/// Puts the script of a build into the tree.
///
/// # Errors
/// The tree cannot be written.
pub(super) fn put_script(workspace: &Workspace) -> Result<()> {
    workspace.put(Path::new(SCRIPT), TEXT, 0o644)
}

/// The command that builds a package in its tree.
pub(super) fn build(kernel: &Kernel, tree: &Path) -> Run {
    let run = kernel.toolchain.run("sh", tree).arg(SCRIPT);
    run.arg(&kernel.release).arg(&kernel.kdir)
}

/// Why a package was not built, in what dkms itself can say of it: it is not for this kernel, or
/// there is no dkms. None where its own build failed.
pub(super) fn refused(kernel: &Kernel, tree: &Path, status: Option<i32>) -> Option<Problem> {
    if status == Some(EXCLUDED) {
        let fact = format!("{CONF} says by BUILD_EXCLUSIVE that it is not for {}", kernel.release);
        return Some(
            Problem::not_for_kernel(fact).hint("name a kernel that it is for: --kernel K"),
        );
    }
    let asked = kernel.toolchain.run("sh", tree).args(["-c", "command -v dkms"]).quiet().output();
    match asked {
        Ok(there) if there.status.success() => None,
        Ok(_) => {
            let fact = format!("dkms is not among the tools for {kernel}");
            Some(Problem::host(fact).hint("install it: apt-get install dkms"))
        }
        Err(problem) => Some(problem),
    }
}
