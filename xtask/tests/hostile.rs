//! Damaged and hostile bytes: no parser may panic, hang, or hold more than twice what it is given.
//!
//! The ordinary run takes a few thousand cases; a million of each with
//! `HOSTILE_CASES=1000000 cargo test --release --test hostile`.
//!
//! It is long because it is a list: one test a parser.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ko::compression::{Compression, unpack};
use ko::module::Module;
use ko::signature::MAGIC;
use loader::{
    kernel_facts::{Export, KernelFacts},
    kernel_model::KernelModel,
    load_info::{COMPRESSED_FILE, IGNORE_MODVERSIONS, IGNORE_VERMAGIC, LoadRequest},
    signature::certificate::Certificate,
};
use peak_alloc::PeakAlloc;
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use stack::{
    dependency_info::DependencyInfo, depmod_config::DepmodConfig, graph::Graph,
    modprobe_config::ModprobeConfig, modules_dep, modules_lists::alias_lines, symtype_parser,
    symtypes::Symtypes, symvers::Symvers, version_pattern::version_matches,
};

/// The real modules that are damaged.
const MODULES: [&[u8]; 3] = [
    include_bytes!("fixtures/exporter-6.12.ko"),
    include_bytes!("fixtures/exporter-7.3.ko"),
    include_bytes!("fixtures/hello-7.3.ko"),
];
const SIGNATURES: [&[u8]; 4] = [
    include_bytes!("../loader/tests/fixtures/p256-certificate.p7s"),
    include_bytes!("../loader/tests/fixtures/p256-attributes.p7s"),
    include_bytes!("../loader/tests/fixtures/rsa-sha256.p7s"),
    include_bytes!("../loader/tests/fixtures/rsa.der"),
];
const SYMVERS: &[u8] = b"0x7855d74d\tprovider_add\tprovider\tEXPORT_SYMBOL_GPL\tPROVIDER\n\
    0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
    0x12345678\tkvm_x\tarch/x86/kvm/kvm\tEXPORT_SYMBOL_GPL\tmodule:kvm-intel,kvm-*\n";
/// Lines of depmod.d and modprobe.d.
const CONFIGURATION: &[u8] = b"override a-b ^7\\.3(\\.[0-9]+){1,2}[^[:alpha:]]*$ extra\n\
    external (7|8)+?.* /outside\nsearch extra built-in\nalias a-* off\n\
    softdep a pre: b post: c\ninstall a \\\n b\noptions * x=1\n";
const SYMTYPES: &[u8] = include_bytes!("fixtures/types-old.symtypes");
/// What a few small objects take, whatever the file: a symbol index, an error's text.
const SMALL_BYTES: usize = 16 << 10;
/// A case takes microseconds; a second is a hang.
const CASE_TIME_MAX: Duration = Duration::from_secs(1);
/// Enough to notice a mistake on each run, and few enough not to be noticed.
const CASES_DEFAULT: u32 = 3000;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The heap is counted for the whole process, so one case runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a parser over some bytes, and checks its time and what it held beside the bytes.
fn bounded<T>(size: usize, parse: impl FnOnce() -> T) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begin = Instant::now();
    drop(parse());
    let took = begin.elapsed();
    let held = HEAP.peak_usage().saturating_sub(before);
    assert!(took < CASE_TIME_MAX, "{took:?}");
    assert!(held <= 2 * size + SMALL_BYTES, "{held} bytes held for {size}");
}

/// Everything that reads a module.
fn read_module(bytes: &[u8]) {
    bounded(bytes.len(), || Module::read(bytes).map(drop));
    bounded(bytes.len(), || DependencyInfo::read(bytes).map(drop));
    let _ = alias_lines(bytes, "name");
    let Ok(module) = Module::read(bytes) else { return };
    bounded(bytes.len(), || module.exports.iter().filter(Result::is_ok).count());
    bounded(bytes.len(), || module.versions.index());
    bounded(bytes.len(), || module.imports().map(drop));
    // The whole form is for printing: only that it ends, without a panic, is asked of it.
    let begin = Instant::now();
    let _ = module.facts();
    assert!(begin.elapsed() < CASE_TIME_MAX);
}

/// The kernels that damaged modules are loaded into: the old ELF checks and the new ones, with and
/// without CRCs; each exports what the modules import, so that relocations are come to.
fn kernels() -> Vec<KernelFacts> {
    let config = "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_X86_64=y\n\
                  CONFIG_MODULE_FORCE_LOAD=y\nCONFIG_STRICT_MODULE_RWX=y\nCONFIG_MODULE_SIG=y\n\
                  CONFIG_CRYPTO_SHA256=y\nCONFIG_DYNAMIC_FTRACE=y\nCONFIG_MODULE_DECOMPRESS=y\n\
                  CONFIG_MODULE_COMPRESS_XZ=y\nCONFIG_DEBUG_INFO_BTF_MODULES=y\n";
    let kernel = |release: &str, more: &str| {
        let mut kernel = KernelFacts::new(release, &format!("{config}{more}")).unwrap();
        for bytes in MODULES {
            for import in Module::read(bytes).unwrap().imports().unwrap() {
                kernel.exports.insert(import.symbol.0.bytes().to_vec(), Export::default());
            }
        }
        let crc = (!more.is_empty()).then_some(7);
        kernel.exports.insert(b"module_layout".to_vec(), Export { crc, ..Export::default() });
        kernel.with_certificates(Vec::new())
    };
    let modversions = "CONFIG_MODVERSIONS=y\n";
    vec![
        kernel("7.3.4+deb13-amd64", ""),
        kernel("7.3.4+deb13-amd64", modversions),
        kernel("6.12.107+deb13-amd64", ""),
        kernel("6.12.117+deb13-amd64", modversions),
        kernel("5.10.1", modversions),
    ]
}

/// How much of a module the whole model may hold: symbols, relocations and exports become tables.
const MODEL_FACTOR: usize = 24;
/// The kernel's messages, which the model bounds.
const MODEL_BYTES: usize = 4 << 20;

/// The whole model of the loader: the ELF file as it is, and given as a compressed one.
fn load_module(bytes: &[u8], kernels: &[KernelFacts]) {
    for kernel in kernels {
        for flags in [0, IGNORE_VERMAGIC | IGNORE_MODVERSIONS, COMPRESSED_FILE] {
            let before = HEAP.current_usage();
            HEAP.reset_peak_usage();
            let begin = Instant::now();
            let request =
                LoadRequest { file: bytes, flags, args: b"a=1 b", ..LoadRequest::default() };
            let verdict = KernelModel::new(kernel).finit_module(request);
            assert_eq!(verdict.loads(), verdict.decisive().is_none());
            assert!(begin.elapsed() < CASE_TIME_MAX, "{:?}", begin.elapsed());
            let held = HEAP.peak_usage().saturating_sub(before);
            assert!(held <= MODEL_FACTOR * bytes.len() + MODEL_BYTES, "{held} for {}", bytes.len());
        }
    }
}

fn read_text(bytes: &[u8]) {
    // A line of five bytes becomes an entry of a hundred; no line of a real file is that short.
    let parsed = Symvers::parse(bytes);
    if let Ok(symvers) = parsed {
        assert_eq!(Symvers::parse(symvers.to_text()).as_ref(), Ok(&symvers));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = modules_dep::parse(text);
        let begin = Instant::now();
        let _ = version_matches(text, "7.3.4+deb13-amd64");
        let _ = DepmodConfig::default().with_file(text, "7.3.4+deb13-amd64");
        let modprobe = ModprobeConfig::new().with_file(text);
        let graph = Graph::new(Vec::new());
        assert!(modprobe.lookup(&graph, text).is_empty());
        assert!(begin.elapsed() < CASE_TIME_MAX);
    }
}

/// Its CRCs, and how it differs from what it was before the damage.
fn read_types(bytes: &[u8], original: &Symtypes) {
    let begin = Instant::now();
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(symtype_parser::as_c).for_each(drop);
    if let Ok(types) = Symtypes::parse(&text) {
        for symbol in ["provider_add", "provider_register", "printy", "table", "none"] {
            let _ = (types.crc(symbol), types.changes(original, symbol));
            let _ = original.changes(&types, symbol);
        }
    }
    assert!(begin.elapsed() < CASE_TIME_MAX);
}

fn read_packed(bytes: &[u8]) {
    const UNPACKED_MAX: usize = 1 << 20;
    let mut plain = Vec::new();
    let _ = unpack(Compression::detect(bytes), bytes, &mut plain, UNPACKED_MAX);
    assert!(plain.capacity() <= 2 * UNPACKED_MAX, "{}", plain.capacity());
}

/// One way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Word(Index, u64),
    Cut(Index),
    Copy(Index, Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Numbers at which arithmetic goes wrong, and small ones that are plausible offsets.
    let word = prop_oneof![
        Just(0u64),
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(i64::MAX as u64),
        Just(u64::from(u32::MAX)),
        0..20_000u64,
        any::<u64>(),
    ];
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        6 => (any::<Index>(), word).prop_map(|(at, word)| Damage::Word(at, word)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), any::<Index>(), any::<u8>())
            .prop_map(|(from, to, length)| Damage::Copy(from, to, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, aligned: bool) {
    if bytes.is_empty() {
        return;
    }
    let place = |at: &Index, length: usize| {
        let at = at.index(length);
        if aligned { at & !3 } else { at }
    };
    let length = bytes.len();
    match damage {
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Word(at, word) => {
            let at = place(at, length);
            for (to, from) in bytes[at..].iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Copy(from, to, count) => {
            let (from, to) = (place(from, length), place(to, length));
            let count = usize::from(*count).min(length - from.max(to));
            bytes.copy_within(from..from + count, to);
        }
    }
}

/// A file with a few damages; half of the time in its last part, where ELF keeps its tables.
fn damaged(originals: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let which = 0..originals.len();
    (which, vec(damage(), 1..6), any::<bool>(), any::<bool>()).prop_map(
        |(which, damages, in_tables, aligned)| {
            let mut bytes = originals[which].to_vec();
            let split = if in_tables { bytes.len() / 2 } else { 0 };
            let mut tail = bytes.split_off(split);
            damages.iter().for_each(|damage| apply(&mut tail, damage, aligned));
            bytes.append(&mut tail);
            bytes
        },
    )
}

fn config() -> Config {
    let cases = std::env::var("HOSTILE_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    }
}

/// To be held by each test from its first line on.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the cases of a strategy.
fn run<S: Strategy>(strategy: S, read: impl Fn(&S::Value)) {
    let result = TestRunner::new(config()).run(&strategy, |case| {
        read(&case);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_damaged_module() {
    let _alone = alone();
    run(damaged(&MODULES), |bytes| read_module(bytes));
}

#[test]
fn a_damaged_module_is_loaded() {
    let _alone = alone();
    let kernels = kernels();
    for bytes in MODULES {
        load_module(bytes, &kernels);
    }
    run(damaged(&MODULES), |bytes| load_module(bytes, &kernels));
}

/// A signature whose bytes are changed, over a module and in the place of one.
#[test]
fn a_damaged_signature_is_verified() {
    let _alone = alone();
    let kernels = kernels();
    run(damaged(&SIGNATURES), |message| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let info = [&[0, 0, 2, 0, 0, 0, 0, 0], length.as_slice(), MAGIC].concat();
        let file = [MODULES[1], message, &info].concat();
        load_module(&file, &kernels[..1]);
        let _ = Certificate::parse(message);
    });
}

#[test]
fn a_damaged_text() {
    let _alone = alone();
    run(damaged(&[SYMVERS, CONFIGURATION]), |bytes| read_text(bytes));
}

#[test]
fn damaged_symtypes() {
    let _alone = alone();
    let original = Symtypes::parse(std::str::from_utf8(SYMTYPES).unwrap()).unwrap();
    run(damaged(&[SYMTYPES]), |bytes| read_types(bytes, &original));
}

/// A structure of many members is compared in less than the square of their number.
#[test]
fn a_structure_of_very_many_members() {
    let _alone = alone();
    let with = |kind: &str| {
        let members = (0..200_000).map(|n| format!("member {kind} m{n} , "));
        format!("table variable s#a\ns#a structure_type a {{ {}}}\n", members.collect::<String>())
    };
    read_types(with("t#u8").as_bytes(), &Symtypes::parse(&with("t#s8")).unwrap());
}

#[test]
fn bytes_of_any_kind() {
    let _alone = alone();
    run(vec(any::<u8>(), 0..300), |bytes| {
        read_module(bytes);
        read_text(bytes);
        read_packed(bytes);
    });
}

fn packed() -> [Vec<u8>; 3] {
    use std::io::Write as _;
    let plain = MODULES[0];
    let mut xz = Vec::with_capacity(plain.len() + 4096);
    let mut stream =
        liblzma::stream::Stream::new_easy_encoder(1, liblzma::stream::Check::Crc32).unwrap();
    stream.process_vec(plain, &mut xz, liblzma::stream::Action::Finish).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).unwrap();
    [xz, zstd::encode_all(plain, 3).unwrap(), gzip.finish().unwrap()]
}

#[test]
fn a_damaged_packed_module() {
    let _alone = alone();
    let originals: Vec<&'static [u8]> =
        packed().into_iter().map(|bytes| &*Box::leak(bytes.into_boxed_slice())).collect();
    let originals: &'static [&'static [u8]] = Box::leak(originals.into_boxed_slice());
    for packed in originals {
        let mut plain = Vec::new();
        unpack(Compression::detect(packed), packed, &mut plain, 1 << 20).unwrap();
        assert_eq!(plain, MODULES[0]);
    }
    run(damaged(originals), |bytes| read_packed(bytes));
}

/// A symbol table in which every symbol has the same long name costs its square, unless names
/// have an end.
#[test]
fn one_long_name_for_every_symbol() {
    let _alone = alone();
    let original = MODULES[2];
    let mut bytes = original.to_vec();
    let module = Module::read(original).unwrap();
    let elf = module.elf;
    let symtab = elf.sections().find(|section| section.kind == 2).unwrap();
    let headers = u64::from_le_bytes(original[40..48].try_into().unwrap()) as usize;
    // A million bytes of names, and a table of forty thousand undefined symbols, at the end.
    let names_at = bytes.len();
    bytes.push(0);
    bytes.extend(std::iter::repeat_n(b'x', 1_000_000));
    bytes.push(0);
    let table_at = bytes.len();
    for _ in 0..40_000 {
        bytes.extend(1u32.to_le_bytes());
        bytes.extend([0x10, 0]);
        bytes.extend([0; 18]);
    }
    let mut set = |section: u32, offset: usize, size: usize| {
        let at = headers + 64 * section as usize;
        bytes[at + 24..at + 32].copy_from_slice(&(offset as u64).to_le_bytes());
        bytes[at + 32..at + 40].copy_from_slice(&(size as u64).to_le_bytes());
    };
    set(symtab.link, names_at, table_at - names_at);
    set(symtab.index, table_at, 40_000 * 24);
    read_module(&bytes);
    let error = DependencyInfo::read(&bytes).unwrap_err();
    assert!(error.expected.contains("a name of at most 4096 bytes"), "{error}");
}
