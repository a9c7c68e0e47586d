//! The running kernel: its facts, and what it has loaded, as /proc and /sys tell.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use ko::module::Module;
use loader::{
    btf::KernelBtf,
    kernel_model::KernelModel,
    kernel_state::{KernelState, LoadedModule, OnceMessage},
    loaded_module,
    signature::certificate::Certificate,
    taints::Taints,
};
use stack::{module_file::ModuleFile, module_name::ModuleName};

use crate::{
    host::open,
    kernel::{
        facts::{Overrides, TreeFacts, of_tree},
        live_keys::{self, LiveKeys},
    },
    problem::{OrProblem, Result},
    tree::{section_reader::ModuleBuffer, walk},
};

/// The facts of the running kernel: its tree, and what /proc and /sys tell.
///
/// # Errors
/// It has no /lib/modules folder or no configuration.
pub fn of_running(overrides: &Overrides) -> Result<TreeFacts> {
    let release = text_of("/proc/sys/kernel/osrelease");
    let boot = Some(Path::new("/boot").join(format!("config-{release}")));
    let config = overrides.config.clone().or(boot.filter(|config| config.exists()));
    let overrides = Overrides { config, ..overrides.clone() };
    let folder = Path::new("/lib/modules").join(&release);
    let mut facts = of_tree(&folder, &overrides)?;
    let target = &mut facts.target;
    let line = open::read("/proc/cmdline").unwrap_or_default();
    *target = std::mem::take(target).with_command_line(line);
    let loaded = loaded();
    let names = fs::read_dir("/sys/module").or_host(|| "/sys/module".into())?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_built_in = |name: &String| loaded.iter().all(|module| module.name != *name);
    target.sysfs_names = Some(names.filter(is_built_in).collect());
    target.signatures_enforced |= text_of("/sys/module/module/parameters/sig_enforce") == "Y";
    let builtin: Vec<Certificate> =
        target.trust.keys.iter().map(|trusted| trusted.certificate.clone()).collect();
    let LiveKeys { trusted, unread } =
        live_keys::read(Path::new("/"), &builtin, &target.trust.keyrings);
    for (keyring, certificate) in trusted {
        target.trust.add(keyring, [certificate]);
    }
    target.keys_unread = unread;
    target.trust.take_loaded(&text_of("/proc/crypto"));
    target.disabled |= text_of("/proc/sys/kernel/modules_disabled") == "1";
    let lockdown = text_of("/sys/kernel/security/lockdown");
    target.locked_down |= !lockdown.is_empty() && !lockdown.contains("[none]");
    target.take_spectre_v2(&text_of("/sys/devices/system/cpu/vulnerabilities/spectre_v2"));
    if let Ok(btf) = open::read("/sys/kernel/btf/vmlinux") {
        target.btf = KernelBtf::new(&btf).or(target.btf.take());
        let known = target.btf.as_ref().and_then(KernelBtf::this_module);
        target.this_module = known.or(target.this_module);
    }
    facts.modules = Some(folder);
    facts.note_unknown();
    Ok(facts)
}

fn text_of(path: &str) -> String {
    open::read_text(path).unwrap_or_default().trim().to_owned()
}

/// A module of the running kernel.
#[derive(Debug, PartialEq, Eq)]
struct Loaded {
    name: String,
    taints: Taints,
    /// It is neither coming nor going.
    is_live: bool,
}

/// The loaded modules, the latest first.
fn loaded() -> Vec<Loaded> {
    text_of("/proc/modules").lines().filter_map(parse_line).collect()
}

/// A line of /proc/modules (`m_show()`, `kernel/module/procfs.c`): name, size, users, their names,
/// state, address, and the taints if there are any.
fn parse_line(line: &str) -> Option<Loaded> {
    let mut fields = line.split(' ');
    let name = fields.next()?.to_owned();
    let state = fields.nth(3)?;
    let taints = Taints::from_letters(fields.nth(1).unwrap_or_default());
    Some(Loaded { name, taints, is_live: state == "Live" })
}

/// The names of what the running kernel has loaded.
pub fn loaded_names() -> Vec<ModuleName> {
    loaded().into_iter().map(|module| ModuleName::new(&module.name)).collect()
}

/// Gives a model what the running kernel has loaded: each module as its file has it, out of the
/// kernel's own tree, of those given, or of those beside them. Of one whose file is not among them,
/// as after `insmod`, the names of its exports are known at most.
///
/// # Errors
/// The tree cannot be read.
pub fn take_loaded(
    model: &mut KernelModel<'_>,
    facts: &TreeFacts,
    given: &[PathBuf],
) -> Result<()> {
    let mut files = candidates(given);
    if let Some(folder) = &facts.modules {
        files.extend(walk::modules(folder)?);
    }
    let mut buffer = ModuleBuffer::default();
    let mut kallsyms = None;
    for module in loaded().into_iter().rev() {
        let identity = Identity::of_loaded(&module.name);
        let named = files.iter().filter(|file| *file.name == *module.name);
        let found = named.filter_map(|file| found_in(&mut buffer, file, &identity)).next();
        let Loaded { name, taints, is_live } = module;
        match found {
            Some(exports) if is_live => {
                model.state.add_module(LoadedModule { name, taints, ..exports });
            }
            _ if !is_live => {
                model.state.doubt(LoadedModule { name, taints, ..found.unwrap_or_default() })
            }
            _ => {
                let symbols = kallsyms.get_or_insert_with(|| exported(&kallsyms_text()));
                // Without data the kernel does not keep the names of export tables.
                let known = facts.target.options.kallsyms_all.then(|| symbols.remove(&name));
                model.state.add_unread(&name, taints, known.map(Option::unwrap_or_default));
            }
        }
    }
    take_logged(&mut model.state, Taints(text_of("/proc/sys/kernel/tainted").parse().unwrap_or(0)));
    Ok(())
}

/// The kernel logs some lines once, when it sets a taint: it has done so.
fn take_logged(state: &mut KernelState, taints: Taints) {
    state.taints = taints;
    let (proprietary, forced) = (Taints::PROPRIETARY, Taints::FORCED);
    let lock_debugging = Taints(proprietary.0 | forced.0 | Taints::UNRELIABLE.0);
    for (set, once) in [
        (Taints::UNSIGNED, OnceMessage::Unsigned),
        (Taints::LIVEPATCH, OnceMessage::Livepatch),
        (lock_debugging, OnceMessage::LockDebugging),
    ] {
        if taints.0 & set.0 != 0 {
            state.is_first(once);
        }
    }
}

/// The files given, and the modules beside them.
fn candidates(given: &[PathBuf]) -> Vec<ModuleFile> {
    let mut paths = given.to_vec();
    for file in given {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let entries =
            fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()));
    }
    let is_module = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.and_then(ModuleName::of_file).is_some() && path.is_file()
    };
    // One that cannot be read is none of those that are loaded.
    let files = paths.into_iter().filter(is_module);
    files.filter_map(|path| walk::module_files(&[path]).ok()).flatten().collect()
}

/// The facts that tell one build of a module from another.
#[derive(Debug, Default, PartialEq, Eq)]
struct Identity {
    build_id: Option<Vec<u8>>,
    srcversion: Option<String>,
}

impl Identity {
    /// The identity of a loaded module, as /sys/module shows it.
    fn of_loaded(name: &str) -> Self {
        let folder = Path::new("/sys/module").join(name);
        let note = open::read(folder.join("notes/.note.gnu.build-id")).ok();
        let srcversion = open::read_text(folder.join("srcversion")).ok();
        Self {
            build_id: note.as_deref().and_then(build_id),
            srcversion: srcversion.map(|text| text.trim().to_owned()),
        }
    }

    /// `true` if a file may be what was loaded: what both tell is the same.
    fn is_of(&self, module: &Module<'_>) -> bool {
        let srcversion = module.modinfo.get("srcversion").map(|text| text.lossy().into_owned());
        let differs = |ours: bool| !ours;
        let id = self.build_id.as_deref().zip(module.build_id()).map(|(a, b)| a == b);
        let source = self.srcversion.as_ref().zip(srcversion.as_ref()).map(|(a, b)| a == b);
        !id.is_some_and(differs) && !source.is_some_and(differs)
    }
}

/// The build id of an ELF note: sizes of name and text, a type, the name, the text.
fn build_id(note: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = note.split_at_checked(16)?;
    let bytes = u32::from_le_bytes(head[4..8].try_into().ok()?);
    let is_gnu = head[..4] == 4u32.to_le_bytes() && head[12..] == *b"GNU\0";
    is_gnu.then(|| rest.get(..usize::try_from(bytes).ok()?).map(<[u8]>::to_vec))?
}

/// A module as a file has it, if the file is what was loaded.
fn found_in(
    buffer: &mut ModuleBuffer,
    file: &ModuleFile,
    identity: &Identity,
) -> Option<LoadedModule> {
    let bytes = buffer.read(&file.full).ok()?;
    identity.is_of(&Module::read(bytes).ok()?).then(|| loaded_module(bytes, Taints::default()))?
}

fn kallsyms_text() -> String {
    let text = open::read("/proc/kallsyms").unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns the exports of each module by the names of /proc/kallsyms: each entry of its export
/// table has a symbol (`__KSYMTAB`, `include/linux/export-internal.h`).
fn exported(kallsyms: &str) -> HashMap<String, Vec<String>> {
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    for line in kallsyms.lines() {
        let Some((symbol, module)) = line.split_once('\t') else { continue };
        let name = symbol.split(' ').nth(2).and_then(|name| name.strip_prefix("__ksymtab_"));
        let module = module.trim_matches(['[', ']']).to_owned();
        all.entry(module).or_default().extend(name.map(str::to_owned));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_modules_has_state_and_taints() {
        let of = |line: &str| parse_line(line).map(|m| (m.name, m.taints.to_string(), m.is_live));
        let line = "gives 12288 1 takes, Live 0xffffffffc0800000 (OE)";
        assert_eq!(of(line), Some(("gives".into(), "OE".into(), true)));
        let line = "virtio_console 45056 0 - Live 0x0000000000000000";
        assert_eq!(of(line), Some(("virtio_console".into(), String::new(), true)));
        let line = "mine 12288 1 - Loading 0x0000000000000000 (P+)";
        assert_eq!(of(line), Some(("mine".into(), "P".into(), false)));
        assert_eq!(of("mine"), None);
    }

    #[test]
    fn the_names_of_exports_stand_in_kallsyms() {
        let text = "0 T printk\n0 r __ksymtab_give\t[gives]\n0 t give\t[gives]\n0 t x\t[plain]\n";
        let all = exported(text);
        assert_eq!((all["gives"].as_slice(), all["plain"].len()), (&["give".to_owned()][..], 0));
    }

    #[test]
    fn a_build_id_is_the_text_of_its_note() {
        let note = [&[4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0][..], b"GNU\0", &[7, 8]].concat();
        assert_eq!(build_id(&note), Some(vec![7, 8]));
        assert_eq!((build_id(&note[..17]), build_id(b"")), (None, None));
    }
}
