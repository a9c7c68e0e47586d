//! The model on modules put together here: what breaks is refused at its check, and hostile bytes
//! do no harm. That the kernel says the same is for `tests/vm/verdict.rs` to prove.
//!
//! It is long because it is a list: a test for each rule.

use proptest::{prelude::*, sample::Index};

use super::{
    check_id::CheckId,
    errno::Errno,
    kernel_facts::{ConfigOptions, Export, KernelFacts},
    kernel_model::KernelModel,
    load_info::LoadRequest,
    struct_module::ThisModule,
    verdict::{Answer, Verdict},
};

/// A section of the module to be.
struct Part {
    name: &'static str,
    kind: u32,
    flags: u64,
    link: u32,
    info: u32,
    bytes: Vec<u8>,
}

fn part(name: &'static str, kind: u32, flags: u64, bytes: impl Into<Vec<u8>>) -> Part {
    Part { name, kind, flags, link: 0, info: 0, bytes: bytes.into() }
}

const MAGIC: &str = "7.3.4-test SMP preempt mod_unload ";
const THIS_MODULE_BYTES: usize = 256;
const INIT_AT: u64 = 200;

fn symbol(name: u32, info: u8, section: u16, value: u64) -> Vec<u8> {
    let mut bytes = name.to_le_bytes().to_vec();
    bytes.extend([info, 0]);
    bytes.extend(section.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes
}

fn rela(offset: u64, symbol: u64, kind: u64, addend: i64) -> Vec<u8> {
    let words = [offset, symbol << 32 | kind, addend as u64];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A module that calls `printk` from its init.
fn module() -> Vec<u8> {
    module_with(Vec::new())
}

/// The same with more sections.
fn module_with(more: Vec<Part>) -> Vec<u8> {
    let mut this_module = vec![0; THIS_MODULE_BYTES];
    this_module[24..29].copy_from_slice(b"small");
    let info = format!("license=GPL\0name=small\0vermagic={MAGIC}\0");
    let symbols = [symbol(0, 0, 0, 0), symbol(1, 0x12, 3, 0), symbol(13, 0x10, 0, 0)].concat();
    let mut parts = vec![
        part(".modinfo", 1, 2, info),
        part(".gnu.linkonce.this_module", 1, 3, this_module),
        part(".text", 1, 6, [0xe8, 0, 0, 0, 0, 0xc3]),
        part(".symtab", 2, 0, symbols),
        part(".strtab", 3, 0, &b"\0init_module\0printk\0"[..]),
        part(".rela.text", 4, 0, rela(1, 2, 4, -4)),
        part(".rela.this", 4, 0, rela(INIT_AT, 1, 1, 0)),
    ];
    parts[3].link = 5;
    parts[5].info = 3;
    parts[6].info = 2;
    parts.extend(more);
    assemble(&parts)
}

fn assemble(parts: &[Part]) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = vec![0; 64];
    let mut file = vec![0; 64];
    let header = |table: &mut Vec<u8>, name: usize, part: &Part, at: usize| {
        table.extend((name as u32).to_le_bytes());
        table.extend(part.kind.to_le_bytes());
        for word in [part.flags, 0, at as u64, part.bytes.len() as u64] {
            table.extend(word.to_le_bytes());
        }
        table.extend(part.link.to_le_bytes());
        table.extend(part.info.to_le_bytes());
        table.extend([8u64, 0].iter().flat_map(|word| word.to_le_bytes()));
    };
    for part in parts {
        let name = names.len();
        names.extend(part.name.as_bytes());
        names.push(0);
        header(&mut table, name, part, file.len());
        file.extend(&part.bytes);
        file.resize(file.len().next_multiple_of(8), 0);
    }
    let name = names.len();
    names.extend(b".shstrtab\0");
    header(&mut table, name, &part("", 3, 0, names.clone()), file.len());
    file.extend(&names);
    let at = file.len() as u64;
    file.extend(table);
    file[..5].copy_from_slice(b"\x7fELF\x02");
    file[16] = 1;
    file[18] = 62;
    file[40..48].copy_from_slice(&at.to_le_bytes());
    file[58] = 64;
    file[60..62].copy_from_slice(&(parts.len() as u16 + 2).to_le_bytes());
    file[62..64].copy_from_slice(&(parts.len() as u16 + 1).to_le_bytes());
    file
}

fn target() -> KernelFacts {
    let config = "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\n\
                  CONFIG_STRICT_MODULE_RWX=y\nCONFIG_MODULE_SIG=y\n";
    let mut target = KernelFacts::new("7.3.4-test", config).unwrap();
    target.this_module =
        Some(ThisModule { bytes: THIS_MODULE_BYTES as u64, init_at: INIT_AT, exit_at: None });
    target.exports.insert(b"printk".to_vec(), Export::default());
    target
}

fn judge(target: &KernelFacts, file: &[u8]) -> Verdict {
    KernelModel::new(target).finit_module(LoadRequest { file, ..LoadRequest::default() })
}

/// Returns the check that refuses a file, and its errno.
fn refused(file: &[u8]) -> (&'static str, Errno) {
    let verdict = judge(&target(), file);
    match (&verdict.answer, verdict.decisive()) {
        (Answer::Refused(errno), Some(check)) => (check.id.as_str(), *errno),
        _ => panic!("{verdict:#?}"),
    }
}

#[test]
fn a_sound_module_loads_and_taints() {
    let verdict = judge(&target(), &module());
    assert!(verdict.loads(), "{verdict:#?}");
    assert_eq!((verdict.name.as_str(), verdict.taints.to_string().as_str()), ("small", "OE"));
    assert_eq!(verdict.messages.len(), 2, "{:?}", verdict.messages);
}

/// A change that breaks a module.
type Change = fn(&mut Vec<u8>);

#[test]
fn a_broken_module_is_refused_at_its_check() {
    let broken = |change: Change| {
        let mut file = module();
        change(&mut file);
        refused(&file)
    };
    let cases: [(Change, &str); 7] = [
        (|file| file.truncate(20), "elf.length"),
        (|file| file[0] = 0, "elf.magic"),
        (|file| file[16] = 2, "elf.type"),
        (|file| file[18] = 3, "elf.machine"),
        (|file| file[58] = 40, "elf.section-size"),
        (|file| file[62] = 0, "elf.section-names"),
        (|file| file[60] = 200, "elf.section-table"),
    ];
    for (change, id) in cases {
        assert_eq!(broken(change), (id, Errno::ENOEXEC));
    }
}

/// It is long because it is a list of facts.
#[test]
fn the_kernels_facts_decide() {
    let file = module();
    let with = |change: fn(&mut KernelFacts)| {
        let mut target = target();
        change(&mut target);
        judge(&target, &file)
    };
    let id = |verdict: &Verdict| verdict.decisive().map(|check| check.id.as_str());
    assert_eq!(id(&with(|t| t.vermagic = "x ".into())), Some("vermagic"));
    assert_eq!(id(&with(|t| t.blacklist = vec!["small".into()])), Some("blacklist"));
    assert_eq!(id(&with(|t| t.signatures_enforced = true)), Some("signature"));
    assert_eq!(id(&with(|t| t.disabled = true)), Some("request.allowed"));
    assert_eq!(id(&with(|t| t.this_module = None)), None);
    let absent = with(|t| {
        t.exports.clear();
        t.exports.insert(b"other".to_vec(), Export::default());
    });
    assert_eq!(absent.answer, Answer::Refused(Errno::ENOENT));
    assert_eq!(absent.messages.last().unwrap(), "small: Unknown symbol printk (err -2)");
    // Without its exports it cannot be decided.
    assert!(matches!(with(|t| t.exports.clear()).answer, Answer::Unknown(_)));
}

#[test]
fn a_second_load_finds_the_first() {
    let (target, file) = (target(), module());
    let mut play = KernelModel::new(&target);
    let request = LoadRequest { file: &file, ..LoadRequest::default() };
    assert!(play.finit_module(request).loads());
    assert_eq!(play.finit_module(request).answer, Answer::Refused(Errno::EEXIST));
    play.state.unload_all();
    let again = play.finit_module(request);
    assert!(again.loads() && again.messages.is_empty(), "what is logged once is logged once");
}

#[test]
fn parts_that_the_kernel_does_not_check_are_unknown() {
    let unknown = |from: &[u8], to: &[u8]| {
        let mut file = module();
        let at = file.windows(from.len()).position(|bytes| bytes == from).unwrap();
        file[at..at + to.len()].copy_from_slice(to);
        judge(&target(), &file).answer
    };
    let outside = unknown(&rela(1, 2, 4, -4), &rela(3, 2, 4, -4));
    assert!(matches!(outside, Answer::Unknown(_)), "{outside:?}");
    let no_symbol = unknown(&rela(1, 2, 4, -4), &rela(1, 9, 4, -4));
    assert!(matches!(no_symbol, Answer::Unknown(_)), "{no_symbol:?}");
    let not_init = unknown(&rela(INIT_AT, 1, 1, 0), &rela(INIT_AT - 8, 1, 1, 0));
    assert!(matches!(not_init, Answer::Unknown(_)), "{not_init:?}");
    // The symbols and their strings are laid out, too, without SHF_ALLOC.
    for section in [4, 5] {
        let mut file = module();
        set_section(&mut file, section, 48, &(1u64 << 49).to_le_bytes());
        let aligned = judge(&target(), &file).answer;
        assert!(matches!(aligned, Answer::Unknown(_)), "{aligned:?}");
    }
}

#[test]
fn a_patched_place_must_be_an_instruction_of_its_kind() {
    let with_site = |at: i64| {
        let site = rela(0, 1, 2, at);
        let mut table = part(".rela.retpoline_sites", 4, 0, site);
        table.info = 8;
        module_with(vec![part(".retpoline_sites", 1, 2, [0; 4]), table])
    };
    // The call, and the return behind it.
    assert_eq!(judge(&target(), &with_site(0)).answer, Answer::Loads);
    let reason = "its .retpoline_sites names places that are not its code";
    assert_eq!(judge(&target(), &with_site(5)).answer, Answer::Unknown(reason.into()));
}

/// Sets a field of the header of a section of [`module`].
fn set_section(file: &mut [u8], section: usize, at: usize, bytes: &[u8]) {
    let table = u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize;
    let at = table + 64 * section + at;
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A section without bytes in the file escapes the bounds checks: its size is no reason to read
/// 2^58 entries.
#[test]
fn a_versions_table_without_bytes_does_not_hang() {
    let mut kernel = target();
    kernel.options.modversions = true;
    kernel.exports.insert(b"module_layout".to_vec(), Export { crc: Some(7), ..Export::default() });
    let mut file = module();
    let section = 7;
    let name = file.windows(10).position(|bytes| bytes == b".rela.this").unwrap();
    file[name..name + 10].copy_from_slice(b"__versions");
    set_section(&mut file, section, 4, &8u32.to_le_bytes());
    set_section(&mut file, section, 8, &2u64.to_le_bytes());
    for offset in [0u64, u64::MAX - 7, 1 << 63] {
        set_section(&mut file, section, 24, &offset.to_le_bytes());
        set_section(&mut file, section, 32, &(u64::MAX - 63).to_le_bytes());
        let begin = std::time::Instant::now();
        let verdict = judge(&kernel, &file);
        assert!(begin.elapsed() < std::time::Duration::from_secs(1));
        assert_eq!(verdict.decisive().map(|check| check.id), Some(CheckId::VersionsLayout));
    }
}

/// The answer to a missing CRC is the distribution's rule.
#[test]
fn a_missing_crc_is_judged_by_whose_kernel_it_is() {
    let mut layout = 7u64.to_le_bytes().to_vec();
    layout.extend(b"module_layout");
    layout.resize(64, 0);
    let file = module_with(vec![part("__versions", 1, 2, layout)]);
    let judged = |missing_crc_refused| {
        let mut kernel = target();
        kernel.options.modversions = true;
        kernel.vermagic = "x SMP preempt mod_unload ".into();
        kernel.patches.missing_crc_refused = missing_crc_refused;
        let export = Export { crc: Some(7), ..Export::default() };
        kernel.exports.insert(b"module_layout".to_vec(), export.clone());
        kernel.exports.insert(b"printk".to_vec(), export);
        judge(&kernel, &file)
    };
    let says = |verdict: &Verdict| {
        verdict.messages.iter().any(|line| line == "small: no symbol version for printk")
    };
    let debian = judged(Some(true));
    assert!(debian.answer == Answer::Refused(Errno::EINVAL) && says(&debian), "{debian:#?}");
    let mainline = judged(Some(false));
    assert!(mainline.loads() && says(&mainline), "{mainline:#?}");
    assert!(matches!(judged(None).answer, Answer::Unknown(_)));
}

/// Kernels that check a symbol's section refuse it; the others read beyond the section headers.
#[test]
fn a_symbol_of_no_section_is_judged_by_the_version() {
    let mut file = module();
    let symbol = file.windows(24).position(|bytes| bytes == symbol(13, 0x10, 0, 0)).unwrap();
    file[symbol + 6..symbol + 8].copy_from_slice(&999u16.to_le_bytes());
    assert_eq!(judge(&target(), &file).answer, Answer::Refused(Errno::ENOEXEC));
    let unchecked = judge(&with_rules_of("6.12.107"), &file).answer;
    assert!(matches!(unchecked, Answer::Unknown(_)));
}

/// A kernel with the rules of another release.
fn with_rules_of(release: &str) -> KernelFacts {
    KernelFacts { rules: KernelFacts::new(release, "").unwrap().rules, ..target() }
}

#[test]
fn a_relocation_over_something_is_refused_first_before_6_3() {
    let mut file = module();
    let good = rela(1, 2, 4, -4);
    let at = file.windows(good.len()).position(|bytes| bytes == good).unwrap();
    // Over the call, and with a value that has no room.
    file[at..at + good.len()].copy_from_slice(&rela(0, 2, 10, -4));
    let says = |release| judge(&with_rules_of(release), &file).messages.concat();
    assert!(says("6.2.16").contains("Skipping invalid relocation target, existing value"));
    assert!(says("6.3").contains("overflow in relocation type 10 val"));
    // In struct module, where the kernel has written by then.
    let own = rela(INIT_AT, 1, 1, 0);
    let at = file.windows(own.len()).position(|bytes| bytes == own).unwrap();
    file[at..at + own.len()].copy_from_slice(&rela(8, 1, 10, 0));
    file[at - own.len()..at].copy_from_slice(&rela(1, 2, 4, -4));
    assert!(judge(&with_rules_of("6.3"), &file).messages.concat().contains("overflow"));
    assert!(matches!(judge(&with_rules_of("6.2.16"), &file).answer, Answer::Unknown(_)));
}

#[test]
fn before_6_4_a_struct_module_of_another_size_is_unknown() {
    let wanted = ThisModule { bytes: 320, init_at: INIT_AT, exit_at: None };
    let of = |release| KernelFacts { this_module: Some(wanted), ..with_rules_of(release) };
    let verdict = judge(&of("6.3.1"), &module());
    assert!(matches!(&verdict.answer, Answer::Unknown(why) if why.contains("256 bytes")));
    assert_eq!(judge(&of("6.4"), &module()).answer, Answer::Refused(Errno::ENOEXEC));
}

#[test]
fn a_shuffled_kernel_is_unknown_without_its_seed() {
    let kernel = KernelFacts::new("7.3.4-test", "CONFIG_RANDSTRUCT=y\nCONFIG_X86_64=y\n").unwrap();
    let verdict = judge(&kernel, &module());
    assert!(matches!(verdict.answer, Answer::Unknown(_)), "{verdict:#?}");
    let config = ko::kconfig::Kconfig::parse("CONFIG_RANDSTRUCT=y\nCONFIG_X86_64=y\n");
    let kernel = kernel.with_randstruct_hash(&config, "#define RANDSTRUCT_HASHED_SEED \"abc\"\n");
    let verdict = judge(&kernel, &module());
    assert_eq!(verdict.decisive().map(|check| check.id), Some(CheckId::Vermagic), "{verdict:#?}");
    assert_eq!(verdict.answer, Answer::Refused(Errno::ENOEXEC));
}

/// Kernels of every kind of rules.
fn targets() -> Vec<KernelFacts> {
    let mut all = Vec::new();
    for release in ["7.3.4-test", "6.12.117-test", "6.12.1-test", "6.1.1-test"] {
        for modversions in [false, true] {
            let mut one = with_rules_of(release);
            one.options = ConfigOptions { modversions, force_load: true, btf: true, ..one.options };
            one.options.ftrace = modversions;
            let crc = modversions.then_some(7);
            let export = Export { crc, ..Export::default() };
            one.exports.insert(b"module_layout".to_vec(), export);
            all.push(one);
        }
    }
    all
}

/// A signed module is in doubt where the kernel's certificates are unknown; a module that needs
/// nothing of it is not.
#[test]
fn only_users_of_a_module_in_doubt_are_in_doubt() {
    let config = include_str!("../../tests/fixtures/kernel-7.3/.config");
    let symvers = include_bytes!("../../tests/fixtures/kernel-7.3/Module.symvers");
    let kernel = KernelFacts::new("7.3.4+deb13-amd64", config).unwrap();
    let kernel = kernel.with_symvers(symvers).unwrap();
    let mut model = KernelModel::new(&kernel);
    let mut load = |file| model.finit_module(LoadRequest { file, ..LoadRequest::default() });
    let signed = load(include_bytes!("../../tests/fixtures/importer-7.3.ko"));
    assert!(matches!(signed.answer, Answer::Unknown(_)) && signed.name == "importer");
    let other = load(include_bytes!("../../tests/fixtures/exporter-7.3.ko"));
    let reason = format!("{:?}", other.answer);
    assert!(!reason.contains("whether that one loads"), "{reason}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever the bytes, there is an answer, and a refusal names its check.
    #[test]
    fn hostile_bytes_get_an_answer(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<Index>()),
        which in 0usize..8,
    ) {
        let mut file = module();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let verdict = judge(&targets()[which], &file);
        prop_assert_eq!(verdict.loads(), verdict.decisive().is_none());
    }

    /// The same for bytes that were never a module but say so.
    #[test]
    fn noise_gets_an_answer(mut file in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let sound = module();
        let header = file.len().min(64);
        file[..header].copy_from_slice(&sound[..header]);
        for target in targets() {
            judge(&target, &file);
        }
    }
}
