//! Random changes of real modules, the same ones for the same seed.

use super::{
    cases::{Built, Case, Load, Shows},
    edit::{Module, section},
    packed,
    sign::{self, Form},
};

/// Numbers that look random: xorshift64*.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end.max(1)
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// A number that means something somewhere: small, large, a power of two, or any.
    fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(16),
            1 => self.below(256),
            2 => 1 << self.below(64),
            3 => u64::MAX,
            4 => self.below(1 << 16),
            _ => self.next(),
        }
    }
}

/// A change of one kind, as the dice fall.
type Change = fn(&mut Module, &mut Dice);

/// Kinds of change.
const KINDS: [(&str, Change); 13] = [
    ("header", in_header),
    ("sections", in_sections),
    ("types", |module, dice| in_field(module, dice, section::TYPE, &TYPES)),
    ("flags", |module, dice| in_field(module, dice, section::FLAGS, &FLAGS)),
    ("offsets", |module, dice| in_field(module, dice, section::OFFSET, &[])),
    ("sizes", |module, dice| in_field(module, dice, section::SIZE, &[])),
    ("modinfo", in_modinfo),
    ("versions", in_versions),
    ("symbols", in_symbols),
    ("relocations", in_relocations),
    ("tables", in_tables),
    ("signature", in_signature),
    ("types-for-bpf", in_btf),
];

/// The types of sections that there are in modules, and some others.
const TYPES: [u64; 10] = [0, 1, 2, 3, 4, 7, 8, 9, 14, 0x6fff_fff6];
/// The flags of sections, one by one and as they occur.
const FLAGS: [u64; 9] = [0, 1, 2, 3, 4, 6, 7, 0x10, 0x40];

/// `count` cases, all kinds and modules in turn.
pub(crate) fn cases(built: &Built, seed: u64, count: usize) -> Vec<Case> {
    (0..count).map(|index| case(built, seed, index)).collect()
}

fn case(built: &Built, seed: u64, index: usize) -> Case {
    let mut dice = Dice(seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let modules = built.modules();
    let (name, module) = modules[index % modules.len()];
    let (kind, change) = KINDS[index / modules.len() % KINDS.len()];
    let mut changed = match kind {
        "signature" => Module::new(signed(built, module, &mut dice)),
        _ => module.clone(),
    };
    change(&mut changed, &mut dice);
    let plain = |module: &Module| Load { file: module.bytes.clone(), args: "", flags: 0 };
    let mut loads = vec![plain(&changed)];
    // Some of each kind are given packed, and damaged then.
    if index % FRAME_EACH == FRAME_EACH - 1 {
        loads = vec![Load { file: frame(module, &mut dice), args: "", flags: 4 }];
    }
    if name.starts_with("takes") {
        loads.insert(0, plain(built.gives()));
    }
    Case { loads, ..Case::new(&format!("{kind}-{name}-{index}"), Shows(None, "")) }
}

fn in_header(module: &mut Module, dice: &mut Dice) {
    let at = dice.below(64) as usize;
    module.bytes[at] = dice.value() as u8;
}

fn in_sections(module: &mut Module, dice: &mut Dice) {
    let fields = [
        section::NAME,
        section::TYPE,
        section::FLAGS,
        section::OFFSET,
        section::SIZE,
        section::LINK,
        section::INFO,
        section::ALIGN,
    ];
    let index = dice.below(module.section_count() as u64) as usize;
    let field = *dice.pick(&fields);
    let value = match dice.below(3) {
        0 => dice.value(),
        1 => module.get(index, field) ^ 1 << dice.below(8 * field.1 as u64),
        _ => module.get(dice.below(module.section_count() as u64) as usize, field),
    };
    module.set_section(index, field, value);
}

/// One field of any section: a value of the list, or any.
fn in_field(module: &mut Module, dice: &mut Dice, field: (usize, usize), values: &[u64]) {
    let index = 1 + dice.below(module.section_count() as u64 - 1) as usize;
    let value = match dice.below(4) {
        0 => dice.value(),
        1 => module.get(index, field) ^ 1 << dice.below(8 * field.1 as u64),
        2 => module.get(1 + dice.below(module.section_count() as u64 - 1) as usize, field),
        _ if values.is_empty() => module.get(index, field).wrapping_add(dice.below(64)),
        _ => *dice.pick(values),
    };
    module.set_section(index, field, value);
}

/// A byte of a table that the loader reads.
fn in_tables(module: &mut Module, dice: &mut Dice) {
    const TABLES: [&str; 8] = [
        "__ksymtab",
        "__ksymtab_gpl",
        "__kflagstab",
        "__ksymtab_strings",
        "__param",
        "__mcount_loc",
        ".return_sites",
        ".gnu.linkonce.this_module",
    ];
    let is_there =
        |table: &&str| module.find(table).is_some_and(|index| module.get(index, section::SIZE) > 0);
    let found: Vec<&str> = TABLES.into_iter().filter(is_there).collect();
    let table = *dice.pick(found.as_slice());
    in_contents(module, table, dice);
}

/// A module with a signature: the kernel's own, or one by a key that nobody knows.
fn signed(built: &Built, module: &Module, dice: &mut Dice) -> Vec<u8> {
    let form = Form::default();
    match (dice.below(4), &built.shipped) {
        (0 | 1, Some(shipped)) => shipped.clone(),
        (2, _) => sign::signed(&module.bytes, Form { by_key_id: true, ..form }),
        _ => sign::signed(&module.bytes, form),
    }
}

/// A byte of the signature, or of what follows it.
fn in_signature(module: &mut Module, dice: &mut Dice) {
    const BYTES: u64 = 400;
    let end = module.bytes.len() as u64;
    let at = (end - 1 - dice.below(BYTES)) as usize;
    module.bytes[at] = match dice.below(2) {
        0 => dice.value() as u8,
        _ => module.bytes[at] ^ 1 << dice.below(8),
    };
}

/// Every so many cases one is packed.
const FRAME_EACH: usize = 8;

/// A packed file with a change: near its ends, where the container is, or anywhere, or cut.
fn frame(module: &Module, dice: &mut Dice) -> Vec<u8> {
    let mut file = packed::xz(&module.bytes);
    let len = file.len() as u64;
    let at = match dice.below(4) {
        0 => 6 + dice.below(30),
        1 => len - 1 - dice.below(40),
        2 => dice.below(len),
        _ => {
            file.truncate(dice.below(len) as usize);
            return file;
        }
    };
    file[at as usize] ^= 1 << dice.below(8);
    file
}

fn in_modinfo(module: &mut Module, dice: &mut Dice) {
    in_contents(module, ".modinfo", dice);
}

/// A byte of the types for BPF, or of the base that they bring.
fn in_btf(module: &mut Module, dice: &mut Dice) {
    in_one_of(module, &[".BTF", ".BTF.base"], dice);
}

fn in_versions(module: &mut Module, dice: &mut Dice) {
    let tables = ["__versions", "__version_ext_crcs", "__version_ext_names", "__kcrctab"];
    in_one_of(module, &tables, dice);
}

/// A byte of one of these sections, or of `.modinfo` where the module has none of them.
fn in_one_of(module: &mut Module, names: &[&str], dice: &mut Dice) {
    let found: Vec<&str> =
        names.iter().copied().filter(|name| module.find(name).is_some()).collect();
    match found.as_slice() {
        [] => in_modinfo(module, dice),
        found => {
            let name = *dice.pick(found);
            in_contents(module, name, dice);
        }
    }
}

fn in_contents(module: &mut Module, name: &str, dice: &mut Dice) {
    let index = module.section(name);
    let (at, size) = (module.get(index, section::OFFSET), module.get(index, section::SIZE));
    let at = (at + dice.below(size)) as usize;
    module.bytes[at] = match dice.below(3) {
        0 => 0,
        1 => module.bytes[at] ^ 1 << dice.below(8),
        _ => b' ' + dice.below(95) as u8,
    };
}

fn in_symbols(module: &mut Module, dice: &mut Dice) {
    let index = module.section(".symtab");
    let (at, size) = (module.get(index, section::OFFSET), module.get(index, section::SIZE));
    let symbol = (at + 24 * dice.below(size / 24)) as usize;
    let (field, bytes) = *dice.pick(&[(0, 4), (4, 1), (6, 2), (6, 2), (8, 8)]);
    let value = dice.value();
    module.set(symbol + field, bytes, value);
}

fn in_relocations(module: &mut Module, dice: &mut Dice) {
    let tables: Vec<usize> =
        (1..module.section_count()).filter(|&i| module.get(i, section::TYPE) == 4).collect();
    let index = *dice.pick(&tables);
    let (at, size) = (module.get(index, section::OFFSET), module.get(index, section::SIZE));
    let entry = (at + 24 * dice.below(size / 24)) as usize;
    let (field, bytes) = *dice.pick(&[(0, 8), (8, 4), (8, 4), (12, 4), (16, 8)]);
    let value = match dice.below(2) {
        0 => dice.value(),
        _ => module.number(entry + field, bytes) ^ 1 << dice.below(8 * bytes as u64),
    };
    module.set(entry + field, bytes, value);
}
