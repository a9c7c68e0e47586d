//! vermagic: the release and the flags that a module and its kernel must share.
//!
//! The string is `VERMAGIC_STRING` of `include/linux/vermagic.h`: the release, a space, and each
//! flag that the configuration sets, with a space after it.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{kconfig::Kconfig, text::Text};

/// A vermagic, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vermagic<'a> {
    /// All of it, with the space at its end.
    pub whole: Text<'a>,
}

impl<'a> Vermagic<'a> {
    /// A vermagic as it stands in `.modinfo`.
    pub fn new(whole: Text<'a>) -> Self {
        Self { whole }
    }

    /// The release: what stands before the first space.
    pub fn release(self) -> Text<'a> {
        self.whole.split_once(b' ').map_or(self.whole, |(release, _)| release)
    }

    /// Returns the text after the release, from its space on: `same_magic()` compares it when the
    /// module has `__versions` and the kernel MODVERSIONS (`kernel/module/version.c`).
    pub fn after_release(self) -> Text<'a> {
        Text(&self.whole.bytes()[self.release().bytes().len()..])
    }

    /// Each flag, in order.
    pub fn flags(self) -> impl Iterator<Item = Text<'a>> {
        self.after_release().pieces(b' ')
    }
}

impl Serialize for Vermagic<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("Vermagic", 3)?;
        form.serialize_field("whole", &self.whole)?;
        form.serialize_field("release", &self.release())?;
        form.serialize_field("flags", &self.flags().collect::<Vec<_>>())?;
        form.end()
    }
}

/// A kernel, as far as vermagic goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelVermagic {
    /// Its vermagic, exactly.
    pub vermagic: String,
    /// `true` if it has MODVERSIONS: then it looks at no release in a module with `__versions`.
    pub modversions: bool,
    /// `true` if it has MODULE_FORCE_LOAD: then it takes a module without vermagic, too; none where
    /// it is not known.
    pub force_load: Option<bool>,
}

/// Why the vermagic of a kernel cannot be derived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VermagicError {
    /// The words of this processor's `MODULE_ARCH_VERMAGIC` are not known here.
    #[error("expected a configuration for x86-64, arm64 or riscv, found another")]
    Processor,
    /// The configuration shuffles structures, and the seed is not given.
    #[error("expected the seed of CONFIG_RANDSTRUCT (include/generated/randstruct_hash.h)")]
    NoSeed,
}

impl KernelVermagic {
    /// Derives the vermagic of a kernel from its release, its configuration and, where structures
    /// are shuffled, the text of `include/generated/randstruct_hash.h`
    /// (`include/linux/vermagic.h` of 7.3).
    ///
    /// # Errors
    /// A processor that is not known here, or no seed.
    pub fn derive(
        release: &str,
        config: &Kconfig,
        randstruct_hash: Option<&str>,
    ) -> Result<Self, VermagicError> {
        let mut vermagic = format!("{release} {}", common_flags(config));
        // `MODULE_ARCH_VERMAGIC` of each processor's asm/vermagic.h.
        let known = [("X86_64", ""), ("ARM64", "aarch64"), ("RISCV", "riscv")];
        let own = known.into_iter().find(|(option, _)| config.has(option));
        vermagic.push_str(own.ok_or(VermagicError::Processor)?.1);
        if config.has("RANDSTRUCT") {
            let seed = randstruct_hash.and_then(|text| defined(text, "RANDSTRUCT_HASHED_SEED"));
            vermagic.push_str("RANDSTRUCT_");
            vermagic.push_str(seed.ok_or(VermagicError::NoSeed)?);
        }
        let (modversions, force) = (config.has("MODVERSIONS"), config.has("MODULE_FORCE_LOAD"));
        Ok(Self { vermagic, modversions, force_load: Some(force) })
    }

    /// Takes the vermagic of a module that was built with the kernel itself. Whether the kernel
    /// has MODVERSIONS is one of its flags.
    pub fn of_intree(vermagic: Vermagic<'_>) -> Self {
        let modversions = vermagic.flags().any(|flag| flag == "modversions");
        Self { vermagic: vermagic.whole.lossy().into_owned(), modversions, force_load: None }
    }
}

/// The flags that every processor has, each with a space after it (`VERMAGIC_STRING`).
pub fn common_flags(config: &Kconfig) -> String {
    let real_time = config.has("PREEMPT_RT");
    let flags = [
        ("SMP ", config.has("SMP")),
        ("preempt_rt ", real_time),
        ("preempt ", !real_time && config.has("PREEMPT_BUILD")),
        ("mod_unload ", config.has("MODULE_UNLOAD")),
        ("modversions ", config.has("MODVERSIONS")),
    ];
    flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect()
}

/// The value of `#define NAME "value"`.
fn defined<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let value = line.trim().strip_prefix("#define")?.trim_start().strip_prefix(name)?;
        value.trim().strip_prefix('"')?.strip_suffix('"')
    })
}

/// `same_magic()` (`kernel/module/version.c`): with CRCs the release does not count, as the CRCs
/// decide.
pub fn same_magic(module: Vermagic<'_>, kernel: Vermagic<'_>, has_crcs: bool) -> bool {
    if has_crcs {
        return module.after_release() == kernel.after_release();
    }
    module.whole == kernel.whole
}

/// One difference between the vermagic of a module and that of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `true` if the kernel refuses the module for it.
    pub refused: bool,
    /// The difference, in one sentence.
    pub text: String,
}

/// Compares flag by flag; by `same_magic()` (`kernel/module/version.c`) the release is passed
/// over when the kernel has MODVERSIONS and the module `__versions`. The extended tables do not
/// count for that: `check_modinfo()` (`kernel/module/main.c`) asks for `__versions` alone.
pub fn compare(
    module: Vermagic<'_>,
    has_versions: bool,
    target: &KernelVermagic,
) -> Vec<Difference> {
    let kernel = Vermagic::new(Text::from(target.vermagic.as_str()));
    let mut differences = Vec::new();
    if module.release() != kernel.release() {
        let (refused, why) = match (target.modversions, has_versions) {
            (true, true) => (false, "which is passed over: the CRCs in __versions decide"),
            (true, false) => (true, "which counts: the module has no __versions"),
            (false, _) => (true, "which counts: the kernel has no MODVERSIONS"),
        };
        let (built_for, release) = (module.release(), kernel.release());
        let text = format!("the module was built for {built_for}, the kernel is {release}, {why}");
        differences.push(Difference { refused, text });
    }
    let mut refuse = |text| differences.push(Difference { refused: true, text });
    for flag in module.flags().filter(|flag| !kernel.flags().any(|other| other == *flag)) {
        refuse(format!("the module was built with {flag}, which the kernel does not have"));
    }
    for flag in kernel.flags().filter(|flag| !module.flags().any(|other| other == *flag)) {
        refuse(format!("the kernel has {flag}, which the module was built without"));
    }
    if differences.iter().all(|difference| !difference.refused)
        && !same_magic(module, kernel, target.modversions && has_versions)
    {
        let text = "the flags are the same, but not in the same order or spacing".into();
        differences.push(Difference { refused: true, text });
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\n\
                          CONFIG_X86_64=y\n";
    const RELEASE: &str = "7.3.4+deb13-amd64";

    fn target(more: &str) -> KernelVermagic {
        KernelVermagic::derive(RELEASE, &Kconfig::parse(&format!("{CONFIG}{more}")), None).unwrap()
    }

    fn differences(
        module: &str,
        has_versions: bool,
        target: &KernelVermagic,
    ) -> Vec<(bool, String)> {
        let module = Vermagic::new(Text::from(module));
        compare(module, has_versions, target).into_iter().map(|d| (d.refused, d.text)).collect()
    }

    #[test]
    fn the_string_is_the_kernels_own() {
        assert_eq!(target("").vermagic, "7.3.4+deb13-amd64 SMP preempt mod_unload ");
        let other = target("CONFIG_PREEMPT_RT=y\nCONFIG_MODVERSIONS=y\n");
        assert_eq!(other.vermagic, "7.3.4+deb13-amd64 SMP preempt_rt mod_unload modversions ");
        let seed = Some("#define RANDSTRUCT_HASHED_SEED \"abc\"\n");
        let config = Kconfig::parse(&format!("{CONFIG}CONFIG_RANDSTRUCT=y\n"));
        let shuffled = KernelVermagic::derive(RELEASE, &config, seed).unwrap();
        assert!(shuffled.vermagic.ends_with("mod_unload RANDSTRUCT_abc"));
        assert_eq!(KernelVermagic::derive(RELEASE, &config, None), Err(VermagicError::NoSeed));
        assert_eq!(
            KernelVermagic::derive(RELEASE, &Kconfig::default(), None),
            Err(VermagicError::Processor)
        );
    }

    #[test]
    fn the_release_counts_unless_crcs_decide() {
        let old = "7.3.3+deb13-amd64 SMP preempt mod_unload ";
        let found = differences(old, true, &target(""));
        assert!(found[0].0 && found[0].1.contains("the kernel has no MODVERSIONS"), "{found:?}");
        let versioned = target("CONFIG_MODVERSIONS=y\n");
        let old = "7.3.3+deb13-amd64 SMP preempt mod_unload modversions ";
        let found = differences(old, true, &versioned);
        assert!(!found[0].0 && found.len() == 1, "{found:?}");
        let found = differences(old, false, &versioned);
        assert!(found[0].0 && found[0].1.contains("no __versions"), "{found:?}");
    }

    #[test]
    fn each_flag_gets_its_sentence() {
        let found = differences("7.3.4+deb13-amd64 SMP modversions ", false, &target(""));
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "the module was built with modversions, which the kernel does not have",
                "the kernel has preempt, which the module was built without",
                "the kernel has mod_unload, which the module was built without",
            ]
        );
        let found = differences("7.3.4+deb13-amd64 preempt SMP mod_unload ", false, &target(""));
        assert!(found[0].1.contains("not in the same order"), "{found:?}");
        let found = differences("7.3.4+deb13-amd64 SMP preempt mod_unload", false, &target(""));
        assert_eq!(found.len(), 1, "a missing blank at the end is a difference to strcmp()");
    }
}
