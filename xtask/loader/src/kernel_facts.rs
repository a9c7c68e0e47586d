//! The facts of a kernel that decide over a load.

use std::collections::{HashMap, HashSet};

use crate::{
    btf::KernelBtf,
    signature::{Keyring, Trust, certificate::Certificate},
    struct_module::ThisModule,
    taints::Taints,
    version_rules::{Version, VersionRules},
    xz_dec::XZ_FILTERS,
};
use ko::{
    compression::Compression,
    kconfig::Kconfig,
    license::License,
    vermagic::{KernelVermagic, common_flags},
};
use stack::{
    line_error::LineError,
    symvers::{VMLINUX, symvers_lines},
};

/// The conditions that a user of a symbol must meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The CRC of its type; none from a kernel, or a module, without MODVERSIONS.
    pub crc: Option<u32>,
    /// `true` if only GPL-compatible modules may use it.
    pub gpl_only: bool,
    /// The namespace to import; empty for none.
    pub namespace: Vec<u8>,
}

/// Declares the options that are on or off, each with those of the configuration that turn it on.
macro_rules! config_options {
    ($($(#[$doc:meta])* $name:ident: $($option:literal)|+;)+) => {
        /// The options of a configuration that decide.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct ConfigOptions {
            $(
                #[doc = concat!("On with", $(" `CONFIG_", $option, "`",)+ ".")]
                $(#[$doc])*
                pub $name: bool,
            )+
            /// The compression that the kernel itself unpacks (`CONFIG_MODULE_DECOMPRESS`).
            pub unpacks: Option<Compression>,
            /// The branch filters that its XZ decoder has (`CONFIG_XZ_DEC_X86` and its like).
            pub xz_filters: Vec<u8>,
        }

        impl ConfigOptions {
            /// Reads a `.config`.
            pub fn from_config(config: &Kconfig) -> Self {
                Self {
                    $($name: [$($option),+].into_iter().any(|option| config.has(option)),)+
                    unpacks: unpacks(config),
                    xz_filters: xz_filters(config),
                }
            }
        }
    };
}

config_options! {
    modversions: "MODVERSIONS";
    force_load: "MODULE_FORCE_LOAD";
    signatures: "MODULE_SIG";
    strict_rwx: "STRICT_MODULE_RWX";
    livepatch: "LIVEPATCH";
    constructors: "CONSTRUCTORS";
    btf: "DEBUG_INFO_BTF_MODULES";
    ima_appraise: "IMA_APPRAISE";
    btf_mismatch_allowed: "MODULE_ALLOW_BTF_MISMATCH";
    missing_namespaces: "MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS";
    smp: "SMP";
    /// The second name is that before 6.9.
    retpoline: "MITIGATION_RETPOLINE" | "RETPOLINE";
    dynamic_debug: "DYNAMIC_DEBUG_CORE";
    unload: "MODULE_UNLOAD";
    preempt: "PREEMPT_BUILD";
    preempt_rt: "PREEMPT_RT";
    signatures_forced: "MODULE_SIG_FORCE";
    modules: "MODULES";
    ftrace: "DYNAMIC_FTRACE";
    kallsyms: "KALLSYMS";
    /// The kernel keeps the names of data, too.
    kallsyms_all: "KALLSYMS_ALL";
    sysctl: "SYSCTL";
    /// The command line of the boot loader is not read.
    fixed_command_line: "CMDLINE_OVERRIDE";
    /// The vermagic has a seed, and `struct module` another layout.
    randstruct: "RANDSTRUCT";
    lockdown: "SECURITY_LOCKDOWN_LSM";
    /// It is asked whatever `lsm=` lists.
    lockdown_early: "SECURITY_LOCKDOWN_LSM_EARLY";
    lockdown_forced: "LOCK_DOWN_KERNEL_FORCE_INTEGRITY" | "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY";
}

fn unpacks(config: &Kconfig) -> Option<Compression> {
    let packings =
        [("XZ", Compression::Xz), ("ZSTD", Compression::Zstd), ("GZIP", Compression::Gzip)];
    let is_set = |(name, _): &(&str, _)| config.has(&format!("MODULE_COMPRESS_{name}"));
    let (_, compression) = packings.into_iter().find(is_set)?;
    config.has("MODULE_DECOMPRESS").then_some(compression)
}

fn xz_filters(config: &Kconfig) -> Vec<u8> {
    let known = XZ_FILTERS.into_iter().filter(|(option, _)| config.has(option));
    known.map(|(_, filter)| filter).collect()
}

/// A distribution's changes to the loader, beside mainline's rule; none where it could
/// not be found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourcePatches {
    /// A symbol without a CRC in `__versions` is refused. Mainline warns once and accepts it
    /// (`check_version()`, `kernel/module/version.c`); Debian's
    /// `module-disable-matching-missing-version-crc.patch` refuses.
    pub missing_crc_refused: Option<bool>,
    /// A key that is in none of the trusted keyrings is looked for in `.platform`. Mainline's
    /// `mod_verify_sig()` (`kernel/module/signing.c`) does not; Debian's
    /// `KEYS-Make-use-of-platform-keyring-for-module-signature.patch` does.
    pub platform_keyring_asked: Option<bool>,
}

impl SourcePatches {
    /// Debian's kernels.
    pub const DEBIAN: Self =
        Self { missing_crc_refused: Some(true), platform_keyring_asked: Some(true) };

    /// The patches of a kernel whose configuration names its maker: Debian sets
    /// `CONFIG_BUILD_SALT` to the release, which ends in the name of its architecture.
    fn from_config(release: &str, config: &Kconfig) -> Self {
        let is_debian = config.get("BUILD_SALT") == Some(release) && release.ends_with("-amd64");
        if is_debian { Self::DEBIAN } else { Self::default() }
    }

    /// The patches that the source shows: the texts of `version.c` and `signing.c` of
    /// `kernel/module`.
    pub fn from_source(version_c: Option<&str>, signing_c: Option<&str>) -> Self {
        let is_mainline = |text: &str| text.contains("pr_warn_once(\"%s: no symbol version");
        let asks = |text: &str| text.contains("VERIFY_USE_PLATFORM_KEYRING");
        Self {
            missing_crc_refused: version_c.map(|text| !is_mainline(text)),
            platform_keyring_asked: signing_c.map(asks),
        }
    }
}

/// A kernel, as far as its loader asks.
#[derive(Clone, Debug)]
pub struct KernelFacts {
    /// The release, as `uname -r` prints it.
    pub release: String,
    /// The rules of its version.
    pub rules: VersionRules,
    /// The rules of its distribution.
    pub patches: SourcePatches,
    /// The vermagic that a module must have.
    pub vermagic: String,
    /// Its configuration.
    pub options: ConfigOptions,
    /// Its `struct module`, if known.
    pub this_module: Option<ThisModule>,
    /// Its own BTF, if known.
    pub btf: Option<KernelBtf>,
    /// The certificates that it verifies signatures with.
    pub trust: Trust,
    /// `true` if [`KernelFacts::trust`] has the certificates that are built into its image.
    pub certificates_known: bool,
    /// Why its keyrings may hold keys whose certificates were not read, as a phrase.
    pub keys_unread: Option<String>,
    /// Its own exports.
    pub exports: HashMap<Vec<u8>, Export>,
    /// The modules that `module_blacklist=` on its command line names.
    pub blacklist: Vec<String>,
    /// `true` if it refuses what is not signed by a key that it trusts (`module.sig_enforce`).
    pub signatures_enforced: bool,
    /// `true` if lockdown is to refuse what is not signed.
    pub locked_down: bool,
    /// `true` if lockdown is among the kernel's security modules, so that it is asked.
    pub lockdown_heeded: bool,
    /// The init functions that `initcall_blacklist=` names.
    pub initcall_blacklist: Vec<String>,
    /// The taints at which it panics.
    pub panic_on_taint: Taints,
    /// The taints that it has when the first module loads.
    pub boot_taints: Taints,
    /// `true` if IMA demands signatures of its own.
    pub ima_appraises: bool,
    /// `modules_disabled`, or `nomodule`: nothing loads.
    pub disabled: bool,
    /// The names in `/sys/module` of what is built in, if known exactly.
    pub sysfs_names: Option<HashSet<String>>,
    /// Names in `/sys/module` of its built-in parameters and versions, if its image was read.
    pub param_names: Option<HashSet<String>>,
    /// Names of built-in code, which may be in `/sys/module`.
    pub builtin_names: HashSet<String>,
    /// `true` if its processor needs retpolines; none where that is not known.
    pub spectre_v2: Option<bool>,
}

/// A kernel of which nothing is known but that it is recent.
impl Default for KernelFacts {
    fn default() -> Self {
        let rules = VersionRules::for_version(Version(7, 3, 0));
        Self {
            release: String::new(),
            rules,
            patches: SourcePatches::default(),
            vermagic: String::new(),
            options: ConfigOptions::default(),
            this_module: None,
            btf: None,
            trust: Trust::new(&Kconfig::parse(""), rules, Vec::new()),
            certificates_known: false,
            keys_unread: None,
            exports: HashMap::new(),
            blacklist: Vec::new(),
            signatures_enforced: false,
            locked_down: false,
            lockdown_heeded: true,
            initcall_blacklist: Vec::new(),
            panic_on_taint: Taints::default(),
            boot_taints: Taints::default(),
            ima_appraises: false,
            disabled: false,
            sysfs_names: None,
            param_names: None,
            builtin_names: HashSet::new(),
            spectre_v2: None,
        }
    }
}

impl KernelFacts {
    /// A kernel by its release and configuration; what it exports is added by
    /// [`KernelFacts::with_symvers`].
    ///
    /// # Errors
    /// A release that begins with no version; the text says so.
    pub fn new(release: &str, config: &str) -> Result<Self, String> {
        let version = Version::parse(release)
            .ok_or_else(|| format!("the release {release:?} begins with no version"))?;
        let config = Kconfig::parse(config);
        let options = ConfigOptions::from_config(&config);
        let rules = VersionRules::for_version(version);
        let listed = config.get("LSM");
        let is_listed = listed.is_none_or(|list| list.split(',').any(|name| name == "lockdown"));
        let facts = Self {
            release: release.into(),
            rules,
            patches: SourcePatches::from_config(release, &config),
            trust: Trust::new(&config, rules, Vec::new()),
            locked_down: options.lockdown_forced,
            // RANDSTRUCT and the processors with a flag of their own are not known here.
            vermagic: format!("{release} {}", common_flags(&config)),
            signatures_enforced: options.signatures_forced,
            lockdown_heeded: options.lockdown_early || is_listed,
            options,
            ..Self::default()
        };
        // The kernel puts its own words before those of the boot loader (`setup_arch()`,
        // `arch/x86/kernel/setup.c`).
        let own = config.get("CMDLINE").filter(|_| config.has("CMDLINE_BOOL"));
        Ok(facts.with_own_command_line(own.unwrap_or_default()))
    }

    /// `true` if lockdown refuses what is not signed.
    pub fn is_locked_down(&self) -> bool {
        self.locked_down && self.lockdown_heeded
    }

    /// Takes the certificates that are built into the kernel's image
    /// ([`crate::signature::certificate::find_certificates`]). Those of the machine's firmware,
    /// which a running kernel may trust as well, are in no file of the kernel's.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Vec<Certificate>) -> Self {
        self.trust.add(Keyring::Builtin, certificates);
        self.certificates_known = true;
        self
    }

    /// Takes the seed of a kernel that shuffles its structures, which its vermagic names, from the
    /// text of `include/generated/randstruct_hash.h`.
    #[must_use]
    pub fn with_randstruct_hash(mut self, config: &Kconfig, hash: &str) -> Self {
        if let Ok(derived) = KernelVermagic::derive(&self.release, config, Some(hash)) {
            self.vermagic = derived.vermagic;
        }
        self
    }

    /// Takes what the text of a Module.symvers says that the kernel exports itself. Its lines are
    /// read without keeping them: a kernel exports twenty thousand symbols.
    ///
    /// # Errors
    /// The first line that modpost would refuse.
    pub fn with_symvers(mut self, text: &[u8]) -> Result<Self, LineError> {
        let modversions = self.options.modversions;
        self.exports = HashMap::with_capacity(text.len() / 80);
        for line in symvers_lines(text) {
            let line = line?;
            if line.module == VMLINUX {
                let export = Export {
                    crc: modversions.then_some(line.crc),
                    gpl_only: line.license == License::GplOnly,
                    namespace: line.namespace.as_bytes().to_vec(),
                };
                self.exports.insert(line.symbol.as_bytes().to_vec(), export);
            }
        }
        Ok(self)
    }

    /// Takes what `/sys/devices/system/cpu/vulnerabilities/spectre_v2` says: modules without
    /// retpolines are told unless the kernel does nothing about it (`SPECTRE_V2_NONE`,
    /// `arch/x86/kernel/cpu/bugs.c`).
    pub fn take_spectre_v2(&mut self, text: &str) {
        let does = ["Mitigation", "Vulnerable:"].iter().any(|begin| text.starts_with(begin));
        self.spectre_v2 = Some(does);
    }

    /// Takes a `modules.builtin.modinfo`: the names of built-in code, which has a folder in
    /// `/sys/module` where it has parameters, a version or a driver.
    #[must_use]
    pub fn with_builtin_modinfo(mut self, modinfo: &[u8]) -> Self {
        for line in modinfo.split(|&byte| byte == 0) {
            let text = String::from_utf8_lossy(line);
            if let Some((name, _)) = text.split_once('.') {
                self.builtin_names.insert(name.replace('-', "_"));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vermagic_follows_the_configuration() {
        let config = "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\n";
        let target = KernelFacts::new("7.3.4-x", config).unwrap();
        assert_eq!(target.vermagic, "7.3.4-x SMP preempt mod_unload ");
        assert!(KernelFacts::new("next", config).is_err());
    }

    #[test]
    fn the_kernels_own_exports_are_taken_from_its_symvers() {
        let text = "0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
                    0x0000000b\tb\tdrivers/b\tEXPORT_SYMBOL_GPL\tB\n\
                    0x0000000c\tc\tvmlinux\tEXPORT_SYMBOL_GPL\tC\n";
        let target = || KernelFacts::new("7.3.4-x", "CONFIG_MODVERSIONS=y\n").unwrap();
        let exports = target().with_symvers(text.as_bytes()).unwrap().exports;
        let c = Export { crc: Some(12), gpl_only: true, namespace: b"C".to_vec() };
        assert_eq!((exports.len(), &exports[&b"c"[..]]), (2, &c));
        assert_eq!(target().with_symvers(b"0x1\ta\n").unwrap_err().line, 1);
        let unknown_macro = b"0x1\ta\tvmlinux\tEXPORT_SYMBOL_X\t\n";
        assert!(target().with_symvers(unknown_macro).is_err());
    }

    #[test]
    fn debians_patches_are_told_by_its_configuration_or_the_source() {
        let of = |release, config| KernelFacts::new(release, config).unwrap().patches;
        let salt = "CONFIG_BUILD_SALT=\"6.12.1+deb13-amd64\"\n";
        assert_eq!(of("6.12.1+deb13-amd64", salt), SourcePatches::DEBIAN);
        assert_eq!(of("6.12.1", salt), SourcePatches::default());
        let warns = "pr_warn_once(\"%s: no symbol version for %s\\n\"";
        let mainline = SourcePatches::from_source(Some(warns), Some("mod_verify_sig"));
        assert_eq!(mainline.missing_crc_refused, Some(false));
        assert_eq!(mainline.platform_keyring_asked, Some(false));
        assert_eq!(SourcePatches::from_source(None, None), SourcePatches::default());
    }

    #[test]
    fn built_in_code_has_names() {
        let target =
            KernelFacts::default().with_builtin_modinfo(b"printk.parmtype=time:bool\0a.b=c\0");
        assert!(["printk", "a"].into_iter().all(|name| target.builtin_names.contains(name)));
    }
}
