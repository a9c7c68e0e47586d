//! The kernel's verifier of a module's BTF (`btf_parse_module()`, `kernel/bpf/btf.c` of 7.3.4, and
//! `btf_relocate()`, `tools/lib/bpf/btf_relocate.c`): whether the types fit the kernel's own.
//!
//! The verifier's own lines (`BPF: …`) are not predicted one by one.
//! It is long because it is one format, kind by kind.

use std::{collections::HashMap, ffi::CStr, fmt, sync::Arc};

use crate::{
    errno::Errno, raw_elf::u32_at, struct_module::ThisModule, version_rules::VersionRules,
};

const MAGIC: u16 = 0xeb9f;
/// `sizeof(struct btf_header)` with the place of the layout section, and without it.
const HEADER_BYTES_MAX: usize = 32;
const HEADER_BYTES_MIN: usize = 24;
/// `BTF_MAX_TYPE` and `BTF_MAX_NAME_OFFSET` (`include/uapi/linux/btf.h`).
const TYPE_MAX: u32 = 0xf_ffff;
const NAME_MAX: u32 = 0xff_ffff;
/// `KSYM_NAME_LEN`.
const IDENTIFIER_MAX: usize = 512;

/// The kinds of types that are told apart here.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
    /// The kernel's types of these kinds may stand for a type of a module's base.
    pub(super) const OF_BASE: [u32; 7] = [INT, FLOAT, ENUM, ENUM64, FWD, STRUCT, UNION];
}

/// Why BTF is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) errno: Errno,
    /// The kernel's line in the place of its verifier's own; empty where these are all.
    pub(super) lines: Vec<String>,
    /// The fault.
    pub(super) what: String,
}

type Checked<T> = Result<T, Misfit>;

fn misfit<T>(what: impl Into<String>) -> Checked<T> {
    error(Errno::EINVAL, what)
}

fn error<T>(errno: Errno, what: impl Into<String>) -> Checked<T> {
    Err(Misfit { errno, lines: Vec::new(), what: what.into() })
}

/// The kernel's own BTF, as `/sys/kernel/btf/vmlinux` or the `.BTF` of a vmlinux has it.
#[derive(Clone, PartialEq, Eq)]
pub struct KernelBtf {
    bytes: Arc<[u8]>,
    /// The number of its types, with void.
    types: usize,
    /// The types that a module's base may name.
    named: Arc<[Named]>,
}

/// A type of the kernel's that has a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    /// Of the name: a kernel has a hundred thousand types, and each module names a few of them.
    crc: u32,
    id: u32,
    /// Where it begins among the types.
    at: u32,
}

impl KernelBtf {
    /// Takes the bytes of a kernel's BTF; none when they are no such.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (types, strings) = sections(bytes, false, HEADER_BYTES_MAX).ok()?;
        let names = Btf { types: Vec::new(), strings, base: None };
        let mut named = Vec::new();
        let (mut at, mut id) = (0, 1);
        while at < types.len() {
            let (one, end) = type_at(types, at)?;
            if one.name != 0 && kind::OF_BASE.contains(&one.kind) {
                let crc = ko::compression::crc32(names.name(one.name)?);
                named.push(Named { crc, id, at: u32::try_from(at).ok()? });
            }
            (at, id) = (end, id + 1);
        }
        named.sort_unstable();
        Some(Self { bytes: bytes.into(), types: id as usize, named: named.into() })
    }

    /// A number that differs with the types, for remembering what was found with them.
    pub fn fingerprint(&self) -> u32 {
        ko::compression::crc32(&self.bytes)
    }

    /// The kernel's `struct module`.
    pub fn this_module(&self) -> Option<ThisModule> {
        let (_, names) = self.parts();
        let (_, module) = self.by_name(b"module").find(|(_, one)| one.kind == kind::STRUCT)?;
        let offset = |wanted: &[u8]| {
            let mut members = (0..module.vlen as usize).map(|member| 3 * member);
            let at = members.find(|&at| names.name(module.word(at)) == Some(wanted))?;
            // A bit field has its size above the offset.
            Some(u64::from(module.word(at + 2) & 0xff_ffff) / 8)
        };
        let (bytes, init_at) = (module.size.into(), offset(b"init")?);
        Some(ThisModule { bytes, init_at, exit_at: offset(b"exit") })
    }

    /// The types as they stand, and the names.
    fn parts(&self) -> (&[u8], Btf<'_>) {
        let (types, strings) = sections(&self.bytes, false, HEADER_BYTES_MAX).unwrap_or_default();
        (types, Btf { types: Vec::new(), strings, base: None })
    }

    /// The types of a name, with their ids.
    fn by_name<'k>(&'k self, name: &'k [u8]) -> impl Iterator<Item = (u32, Type<'k>)> {
        let crc = ko::compression::crc32(name);
        let begin = self.named.partition_point(|named| named.crc < crc);
        let candidates = self.named[begin..].iter().take_while(move |named| named.crc == crc);
        let (types, names) = self.parts();
        candidates.filter_map(move |named| {
            let (one, _) = type_at(types, named.at as usize)?;
            (names.name(one.name) == Some(name)).then_some((named.id, one))
        })
    }
}

/// The type that begins there, and where the next one does.
fn type_at(types: &[u8], at: usize) -> Option<(Type<'_>, usize)> {
    let words = [u32_at(types, at)?, u32_at(types, at + 4)?, u32_at(types, at + 8)?];
    let [name, info, size] = words;
    let end = at + 12 + bytes_after(info)?;
    let rest = types.get(at + 12..end)?;
    let (kind, vlen) = (info >> 24 & 0x7f, info & 0xff_ffff);
    Some((Type { name, kind, kind_flag: info >> 31 != 0, vlen, size, rest }, end))
}

impl fmt::Debug for KernelBtf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelBtf({:08x})", self.fingerprint())
    }
}

/// `true` if bytes are laid out as a module's BTF is, whatever its types are.
pub(super) fn has_parts(bytes: &[u8]) -> bool {
    sections(bytes, true, HEADER_BYTES_MAX).is_ok()
}

/// `btf_parse_module()`: a module's BTF, with the base that it brings, against the kernel's.
pub(super) fn parse_module(
    btf: &[u8],
    base: Option<&[u8]>,
    kernel: &KernelBtf,
    rules: &VersionRules,
) -> Checked<()> {
    let header_bytes = if rules.btf_layout { HEADER_BYTES_MAX } else { HEADER_BYTES_MIN };
    let Some(base) = base else {
        // Only the names of the base and the number of its types are asked for.
        let (_, strings) = sections(&kernel.bytes, false, HEADER_BYTES_MAX)?;
        let types = vec![Type::default(); kernel.types];
        let base = Btf { types, strings, base: None };
        return Btf::parse(btf, Some(&base), header_bytes).map(drop);
    };
    let base = Btf::parse(base, None, header_bytes)?;
    let split = Btf::parse(btf, Some(&base), header_bytes)?;
    relocate(&split, &base, kernel)
}

#[derive(Clone, Copy, Default)]
struct Type<'a> {
    name: u32,
    kind: u32,
    kind_flag: bool,
    vlen: u32,
    /// `size` or `type`.
    size: u32,
    /// The bytes that follow.
    rest: &'a [u8],
}

impl Type<'_> {
    fn is_modifier(&self) -> bool {
        use kind::{CONST, RESTRICT, TYPE_TAG, TYPEDEF, VOLATILE};
        [TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG].contains(&self.kind)
    }

    fn is_composite(&self) -> bool {
        [kind::STRUCT, kind::UNION].contains(&self.kind)
    }

    /// A word of what follows.
    fn word(&self, at: usize) -> u32 {
        u32_at(self.rest, 4 * at).unwrap_or(0)
    }
}

/// A `struct btf`: its types, the first of which is void, and its names.
struct Btf<'a> {
    /// The types from `start_id` on; of a base also void.
    types: Vec<Type<'a>>,
    strings: &'a [u8],
    base: Option<&'a Btf<'a>>,
}

impl<'a> Btf<'a> {
    fn parse(bytes: &'a [u8], base: Option<&'a Btf<'a>>, header_bytes: usize) -> Checked<Self> {
        let (types, strings) = sections(bytes, base.is_some(), header_bytes)?;
        let is_ended = strings.last() == Some(&0);
        let begins = base.is_some() || strings.first() == Some(&0);
        let is_short = strings.len() <= NAME_MAX as usize + 1;
        let may_be_empty = base.is_some() && strings.is_empty();
        if !(may_be_empty || is_ended && begins && is_short) {
            return misfit("its strings are damaged");
        }
        let mut btf = Self { types: Vec::new(), strings, base };
        if base.is_none() {
            btf.types.push(Type::default());
        }
        let mut rest = types;
        while !rest.is_empty() {
            let (found, after) = btf.check_meta(rest)?;
            btf.types.push(found);
            rest = after;
        }
        btf.check_modifier_chains()?;
        Ok(btf)
    }

    /// `start_id`.
    fn first(&self) -> usize {
        self.base.map_or(0, |base| base.types.len())
    }

    fn by_id(&self, id: u32) -> Option<&Type<'a>> {
        let id = id as usize;
        match self.base.filter(|base| id < base.types.len()) {
            Some(base) => base.types.get(id),
            None => self.types.get(id - self.first()),
        }
    }

    /// The name at an offset: those of the base come first.
    fn name(&self, offset: u32) -> Option<&'a [u8]> {
        if offset > NAME_MAX {
            return None;
        }
        let base = self.base.map_or(0, |base| base.strings.len());
        let rest = match (offset as usize).checked_sub(base) {
            Some(own) => self.strings.get(own..)?,
            None => self.base?.strings.get(offset as usize..)?,
        };
        // One that is longer is none that the kernel takes; it is cut, so that many types of one
        // long name do not cost the square of their size.
        let window = &rest[..rest.len().min(IDENTIFIER_MAX + 2)];
        match CStr::from_bytes_until_nul(window) {
            Ok(name) => Some(name.to_bytes()),
            Err(_) => (window.len() < rest.len()).then_some(window),
        }
    }

    /// `btf_name_valid_identifier()`, of a name that must be there.
    fn is_identifier(&self, offset: u32) -> bool {
        let Some(name) = self.name(offset).filter(|_| offset != 0) else { return false };
        let is_sign = |byte: &u8| [b'_', b'.'].contains(byte);
        let begins = name.first().is_some_and(|b| is_letter(*b) || is_sign(b));
        let goes_on =
            name.iter().skip(1).all(|b| is_letter(*b) || b.is_ascii_digit() || is_sign(b));
        begins && goes_on && name.len() <= IDENTIFIER_MAX
    }

    fn is_nameless_or_identifier(&self, offset: u32) -> bool {
        offset == 0 || self.is_identifier(offset)
    }

    /// `btf_check_meta()`: one type, and what follows it.
    fn check_meta(&self, bytes: &'a [u8]) -> Checked<(Type<'a>, &'a [u8])> {
        let id = self.first() + self.types.len();
        let wrong = |what: &str| misfit(format!("its type {id} {what}"));
        let words = [u32_at(bytes, 0), u32_at(bytes, 4), u32_at(bytes, 8)];
        let [Some(name), Some(info), Some(size)] = words else { return wrong("is cut short") };
        let rest = &bytes[12..];
        let (kind, vlen) = (info >> 24 & 0x7f, info & 0xff_ffff);
        let found = Type { name, kind, kind_flag: info >> 31 != 0, vlen, size, rest };
        if self.name(name).is_none() {
            return wrong("has a name that is not there");
        }
        let Some(more) = bytes_after(info) else { return wrong("is of no kind") };
        let Some((own, after)) = rest.split_at_checked(more) else {
            return wrong("is cut short");
        };
        let found = Type { rest: own, ..found };
        match self.wrong_meta(&found) {
            None => Ok((found, after)),
            Some((errno, what)) => error(errno, format!("its type {id} {what}")),
        }
    }

    /// `check_meta` of each kind: what is wrong with a type.
    fn wrong_meta(&self, one: &Type<'a>) -> Option<(Errno, &'static str)> {
        let Type { name, kind, kind_flag, vlen, size, .. } = *one;
        let is_wrong = |bad: bool, what: &'static str| bad.then_some((Errno::EINVAL, what));
        let has_list = [
            kind::STRUCT,
            kind::UNION,
            kind::ENUM,
            kind::ENUM64,
            kind::FUNC_PROTO,
            kind::FUNC,
            kind::DATASEC,
        ];
        let may_flag = [
            kind::STRUCT,
            kind::UNION,
            kind::ENUM,
            kind::ENUM64,
            kind::FWD,
            kind::DECL_TAG,
            kind::TYPE_TAG,
        ];
        let named = match kind {
            kind::TYPEDEF | kind::FWD | kind::FUNC | kind::VAR => self.is_identifier(name),
            kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => {
                self.is_nameless_or_identifier(name)
            }
            kind::TYPE_TAG | kind::DECL_TAG => self.name(name).is_some_and(|n| !n.is_empty()),
            kind::DATASEC => self.name(name).is_some_and(|n| {
                !n.is_empty() && n.iter().all(|&b| is_printable(b)) && n.len() <= IDENTIFIER_MAX
            }),
            kind::INT | kind::FLOAT => true,
            _ => name == 0,
        };
        is_wrong(vlen != 0 && !has_list.contains(&kind), "has members")
            .or_else(|| is_wrong(kind_flag && !may_flag.contains(&kind), "has a flag"))
            .or_else(|| is_wrong(!named, "has no good name"))
            .or_else(|| match kind {
                kind::INT => wrong_int(one),
                kind::ARRAY => is_wrong(
                    size != 0 || !is_type(one.word(0)) || !is_type(one.word(1)),
                    "is no array",
                ),
                kind::STRUCT | kind::UNION => {
                    is_wrong(self.has_wrong_member(one), "has no good member")
                }
                kind::ENUM | kind::ENUM64 => is_wrong(self.is_wrong_enum(one), "is no enumeration"),
                kind::FWD => is_wrong(size != 0, "is no forward declaration"),
                kind::FUNC => is_wrong(vlen > 2, "has no good linkage"),
                kind::VAR => is_wrong(!is_type(size) || one.word(0) > 1, "is no variable"),
                kind::DATASEC => is_wrong(is_wrong_section(one), "is no section of data"),
                kind::FLOAT => is_wrong(![2, 4, 8, 12, 16].contains(&size), "is no float"),
                kind::DECL_TAG => is_wrong((one.word(0) as i32) < -1, "is no tag"),
                kind::FUNC_PROTO => None,
                kind::PTR => is_wrong(size > TYPE_MAX, "points to no type"),
                _ => is_wrong(size > TYPE_MAX, "is of no type"),
            })
    }

    fn has_wrong_member(&self, one: &Type<'a>) -> bool {
        let mut last = 0;
        (0..one.vlen as usize).any(|member| {
            let word = |at: usize| one.word(3 * member + at);
            let mask = if one.kind_flag { 0xff_ffff } else { u32::MAX };
            let (name, offset) = (word(0), word(2) & mask);
            let is_wrong = !self.is_nameless_or_identifier(name)
                || !is_type(word(1))
                || one.kind == kind::UNION && offset != 0
                || last > offset
                || offset.div_ceil(8) > one.size;
            last = offset;
            is_wrong
        })
    }

    fn is_wrong_enum(&self, one: &Type<'a>) -> bool {
        let words = if one.kind == kind::ENUM64 { 3 } else { 2 };
        one.size > 8
            || !one.size.is_power_of_two()
            || (0..one.vlen as usize).any(|value| !self.is_identifier(one.word(words * value)))
    }

    /// `btf_check_modifier_chain_length()`.
    fn check_modifier_chains(&self) -> Checked<()> {
        const CHAIN_MAX: usize = 32;
        let first = if self.base.is_some() { self.first() } else { 1 };
        let mut good = first as i64 - 1;
        for id in first..self.first() + self.types.len() {
            let mut current = id as u32;
            let mut chain = 0;
            while let Some(found) = self.by_id(current) {
                if !found.is_modifier() {
                    break;
                }
                if chain == CHAIN_MAX {
                    return error(Errno::ELOOP, format!("its type {id} leads nowhere"));
                }
                chain += 1;
                if i64::from(current) <= good {
                    break;
                }
                current = found.size;
                if self.by_id(current).is_none() {
                    return misfit(format!("its type {id} leads to none"));
                }
            }
            if self.by_id(id as u32).is_some_and(Type::is_modifier) {
                good = id as i64;
            }
        }
        Ok(())
    }
}

/// The bytes that follow a type with this `info`; none for a kind that is not there.
fn bytes_after(info: u32) -> Option<usize> {
    let vlen = (info & 0xff_ffff) as usize;
    Some(match info >> 24 & 0x7f {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
        kind::ENUM | kind::FUNC_PROTO => 8 * vlen,
        1..=19 => 0,
        _ => return None,
    })
}

/// `isalpha()` (`lib/ctype.c`): ASCII's letters and Latin-1's.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0xc0 && ![0xd7, 0xf7].contains(&byte)
}

/// `isprint()`.
fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || byte >= 0xa0
}

/// A type that is there, and not void.
fn is_type(id: u32) -> bool {
    id != 0 && id <= TYPE_MAX
}

fn wrong_int(one: &Type<'_>) -> Option<(Errno, &'static str)> {
    let data = one.word(0);
    let bits = (data & 0xff) + (data >> 16 & 0xff);
    if data > 0x0fff_ffff || bits > 128 || bits.div_ceil(8) > one.size {
        return Some((Errno::EINVAL, "is no integer"));
    }
    let encoding = data >> 24 & 0x0f;
    (![0, 1, 2, 4].contains(&encoding)).then_some((Errno::ENOTSUPP, "is of no encoding"))
}

fn is_wrong_section(one: &Type<'_>) -> bool {
    let (mut end, mut sum) = (0u64, 0u64);
    let size = u64::from(one.size);
    let is_wrong = (0..one.vlen as usize).any(|member| {
        let word = |at: usize| one.word(3 * member + at);
        let (offset, bytes) = (u64::from(word(1)), u64::from(word(2)));
        let is_wrong = !is_type(word(0)) || offset < end || bytes == 0 || offset + bytes > size;
        end = offset + bytes;
        sum += bytes;
        is_wrong
    });
    size == 0 || is_wrong || sum > size
}

/// `btf_parse_hdr()` with `btf_check_sec_info()`: types and strings. `header_bytes` is the size of
/// the kernel's `struct btf_header`.
fn sections(bytes: &[u8], has_base: bool, header_bytes: usize) -> Checked<(&[u8], &[u8])> {
    let Some(length) = u32_at(bytes, 4).map(|length| length as usize) else {
        return misfit("its BTF has no header");
    };
    let Some(data) = bytes.get(length..) else { return misfit("its BTF has no header") };
    if bytes[..length].iter().skip(header_bytes).any(|&byte| byte != 0) {
        return error(Errno::E2BIG, "its BTF has a longer header than the kernel knows");
    }
    let mut header = [0; HEADER_BYTES_MAX];
    let copied = length.min(header_bytes);
    header[..copied].copy_from_slice(&bytes[..copied]);
    if header[..2] != MAGIC.to_le_bytes() {
        return misfit("its BTF has another magic number");
    }
    if header[2..4] != [1, 0] {
        return error(Errno::ENOTSUPP, "its BTF is of another version");
    }
    if !has_base && data.is_empty() {
        return misfit("its BTF is empty");
    }
    let place =
        |at: usize| (u32_at(&header, at).unwrap_or(0), u32_at(&header, at + 4).unwrap_or(0));
    let has_layout = length >= HEADER_BYTES_MAX && place(24).1 > 0;
    let mut places = vec![place(8), place(16)];
    places.extend(has_layout.then(|| place(24)));
    let of = |(offset, length): (u32, u32)| {
        let end = (offset as usize).checked_add(length as usize)?;
        data.get(offset as usize..end)
    };
    let (types, strings) = (of(places[0]), of(places[1]));
    let strings_end = u64::from(places[1].0) + u64::from(places[1].1);
    places.sort_by_key(|(offset, _)| *offset);
    let mut end = 0u64;
    for (offset, length) in places {
        if u64::from(offset) != end {
            return misfit("the parts of its BTF have gaps or overlap");
        }
        end += u64::from(length);
    }
    let is_ended = length >= HEADER_BYTES_MAX || strings_end == end;
    match (types, strings) {
        (Some(types), Some(strings)) if is_ended && end == data.len() as u64 => {
            Ok((types, strings))
        }
        _ => misfit("the parts of its BTF do not fit its size"),
    }
}

/// `btf_relocate()`: each type of the base that the module brings is one of the kernel's.
fn relocate(split: &Btf<'_>, base: &Btf<'_>, kernel: &KernelBtf) -> Checked<()> {
    let distilled = [kind::INT, kind::FLOAT, kind::ENUM, kind::STRUCT, kind::UNION, kind::FWD];
    for (id, one) in base.types.iter().enumerate().skip(1) {
        let line = if !distilled.contains(&one.kind) {
            format!("type [{id}] in distilled based BTF has unexpected kind [{}]", one.kind)
        } else if one.name == 0 {
            let kind = one.kind;
            format!("type [{id}], kind [{kind}] is invalid for distilled base BTF; it is anonymous")
        } else {
            continue;
        };
        return Err(logged(line));
    }
    let mapped = map_base(base, &embedded_types(split, base.types.len()), kernel)?;
    match (1..base.types.len()).find(|&id| mapped[id].is_none()) {
        None => Ok(()),
        Some(id) => {
            let name = base.name(base.types[id].name).unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            let line =
                format!("distilled base BTF type '{name}' [{id}] is not mapped to base BTF id");
            Err(logged(line))
        }
    }
}

/// `btf_relocate_map_distilled_base()`: the kernel's type for each of the base's.
fn map_base(base: &Btf<'_>, embedded: &[bool], kernel: &KernelBtf) -> Checked<Vec<Option<u32>>> {
    let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (id, one) in base.types.iter().enumerate().skip(1) {
        wanted.entry(base.name(one.name).unwrap_or_default()).or_default().push(id);
    }
    let mut mapped: Vec<Option<u32>> = vec![None; base.types.len()];
    let mut twice: Option<(u32, String)> = None;
    for (name, candidates) in &wanted {
        let theirs: Vec<(u32, Type<'_>)> = kernel.by_name(name).collect();
        let composites = theirs.iter().filter(|(_, one)| one.is_composite()).count();
        for (id, one) in &theirs {
            let needs_size = match one.kind {
                kind::FWD => false,
                kind::STRUCT | kind::UNION => composites > 1,
                _ => true,
            };
            for &candidate in candidates {
                let other = &base.types[candidate];
                if needs_size && one.size != other.size
                    || !is_compatible(one, other, embedded.get(candidate) == Some(&true))
                {
                    continue;
                }
                if let Some(before) = mapped[candidate].replace(*id) {
                    // The kernel goes through its own types in their order.
                    if twice.as_ref().is_none_or(|(first, _)| id < first) {
                        let (name, size) = (String::from_utf8_lossy(name), one.size);
                        let line = format!(
                            "distilled base BTF type '{name}' [{candidate}], size {size} has \
                             multiple candidates of the same size (ids [{id}, {before}]) in base \
                             BTF"
                        );
                        twice = Some((*id, line));
                    }
                }
            }
        }
    }
    if let Some((_, line)) = twice {
        return Err(logged(line));
    }
    Ok(mapped)
}

fn logged(line: String) -> Misfit {
    Misfit { errno: Errno::EINVAL, what: line.clone(), lines: vec![line] }
}

/// `true` if a type of the kernel may stand for one that the module's base names.
fn is_compatible(one: &Type<'_>, distilled: &Type<'_>, is_embedded: bool) -> bool {
    match distilled.kind {
        kind::FWD => match one.kind {
            kind::FWD => one.kind_flag == distilled.kind_flag,
            kind::STRUCT => !one.kind_flag,
            kind::UNION => one.kind_flag,
            _ => false,
        },
        kind::INT => one.kind == kind::INT && one.word(0) >> 24 == distilled.word(0) >> 24,
        kind::FLOAT => one.kind == kind::FLOAT,
        kind::ENUM => [kind::ENUM, kind::ENUM64].contains(&one.kind),
        kind::STRUCT | kind::UNION => !is_embedded || one.size == distilled.size,
        _ => false,
    }
}

/// `btf_mark_embedded_composite_type_ids()`: the base's structures that lie in the module's own.
fn embedded_types(split: &Btf<'_>, base_types: usize) -> Vec<bool> {
    let mut embedded = vec![false; base_types];
    // A chain ends where an earlier one has gone on.
    let mut followed = vec![false; base_types + split.types.len()];
    for one in split.types.iter().filter(|one| one.is_composite()) {
        for member in 0..one.vlen as usize {
            let mut id = one.word(3 * member + 1);
            while let Some(false) = followed.get(id as usize) {
                followed[id as usize] = true;
                let Some(found) = split.by_id(id).filter(|_| id != 0) else { break };
                id = match found.kind {
                    kind::ARRAY => found.word(0),
                    kind::STRUCT | kind::UNION => {
                        if let Some(mark) = embedded.get_mut(id as usize) {
                            *mark = true;
                        }
                        break;
                    }
                    _ if found.is_modifier() => found.size,
                    _ => break,
                };
            }
        }
    }
    embedded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version_rules::Version;

    /// Beside the kernel's types, under the rules of 7.3.4.
    fn fits(bytes: &[u8], base: Option<&[u8]>, kernel: &KernelBtf) -> Checked<()> {
        parse_module(bytes, base, kernel, &VersionRules::for_version(Version(7, 3, 4)))
    }

    /// A BTF of these types and strings.
    fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let words = [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        [&[0x9f, 0xeb, 1, 0], &words[..], &types, strings].concat()
    }

    const INT: u32 = 1 << 24;
    const STRUCT: u32 = 4 << 24;
    const TYPEDEF: u32 = 8 << 24;
    const SIGNED_32: u32 = 1 << 24 | 32;

    /// `int`, `struct s` of 4 and of 8 bytes, `struct t`.
    fn kernel() -> KernelBtf {
        let int = [1, INT, 4, SIGNED_32];
        let composites = [5, STRUCT, 4, 5, STRUCT, 8, 7, STRUCT, 16];
        KernelBtf::new(&btf(&[&int[..], &composites].concat(), b"\0int\0s\0t\0")).unwrap()
    }

    #[test]
    fn types_beside_the_kernels_are_checked_one_by_one() {
        let kernel = kernel();
        assert_eq!(kernel.types, 5);
        let fit = |types: &[u32], strings: &[u8]| {
            fits(&btf(types, strings), None, &kernel).map_err(|misfit| misfit.errno)
        };
        // Names begin after the kernel's nine bytes.
        assert_eq!(fit(&[9, TYPEDEF, 1], b"mine\0"), Ok(()));
        assert_eq!(fit(&[1, TYPEDEF, 5], b""), Err(Errno::ELOOP), "a typedef of itself");
        assert_eq!(fit(&[1, TYPEDEF, 6], b""), Err(Errno::EINVAL), "of none");
        assert_eq!(fit(&[99, TYPEDEF, 1], b"mine\0"), Err(Errno::EINVAL), "a name beyond");
        assert_eq!(fit(&[0, TYPEDEF, 1], b"mine\0"), Err(Errno::EINVAL), "no name");
        assert_eq!(fit(&[9, TYPEDEF, 1], b"no name\0"), Err(Errno::EINVAL), "a space");
        assert_eq!(fit(&[9, TYPEDEF | 1, 1], b"mine\0"), Err(Errno::EINVAL), "a member");
        assert_eq!(fit(&[9, TYPEDEF, 1], b"mine"), Err(Errno::EINVAL), "no end");
        assert_eq!(fit(&[9, TYPEDEF], b"mine\0"), Err(Errno::EINVAL), "cut short");
        let encoded = |encoding: u32| fit(&[9, INT, 4, encoding << 24 | 32], b"mine\0");
        assert_eq!((encoded(4), encoded(8)), (Ok(()), Err(Errno::ENOTSUPP)));
        let member = |offset: u32| fit(&[9, STRUCT | 1, 4, 9, 1, offset], b"mine\0");
        assert_eq!((member(32), member(33)), (Ok(()), Err(Errno::EINVAL)));
        let version = |at: usize| {
            let mut bytes = btf(&[9, TYPEDEF, 1], b"mine\0");
            bytes[at] ^= 2;
            fits(&bytes, None, &kernel).unwrap_err().errno
        };
        assert_eq!((version(2), version(0)), (Errno::ENOTSUPP, Errno::EINVAL));
        let header = |more: &[u8]| {
            let mut bytes = btf(&[9, TYPEDEF, 1], b"mine\0");
            bytes[4] = 24 + more.len() as u8;
            let bytes = [&bytes[..24], more, &bytes[24..]].concat();
            fits(&bytes, None, &kernel).map_err(|misfit| misfit.errno)
        };
        assert_eq!((header(&[]), header(&[0; 8]), header(&[0; 16])), (Ok(()), Ok(()), Ok(())));
        assert_eq!(header(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), Err(Errno::E2BIG));
    }

    #[test]
    fn a_base_is_looked_for_by_name_and_by_size_where_the_name_is_not_enough() {
        let kernel = kernel();
        let line = |base: &[u32]| {
            let base = btf(base, b"\0int\0s\0t\0none\0");
            let split = btf(&[1, TYPEDEF, 1], b"");
            fits(&split, Some(&base), &kernel).map_err(|misfit| misfit.lines.concat())
        };
        assert_eq!(line(&[1, INT, 4, SIGNED_32]), Ok(()));
        assert_eq!(line(&[5, STRUCT, 8]), Ok(()));
        assert_eq!(line(&[7, STRUCT, 99]), Ok(()), "the only one of its name");
        let is_not_mapped = |base: &[u32]| line(base).unwrap_err().contains("is not mapped");
        assert!(is_not_mapped(&[1, INT, 8, SIGNED_32]) && is_not_mapped(&[5, STRUCT, 9]));
        assert!(is_not_mapped(&[9, STRUCT, 8]));
        assert!(line(&[1, TYPEDEF, 0]).unwrap_err().contains("unexpected kind [8]"));
        assert!(line(&[0, STRUCT, 8]).unwrap_err().contains("it is anonymous"));
    }

    #[test]
    fn damaged_types_end() {
        let kernel = kernel();
        let good = btf(&[9, STRUCT | 1, 4, 9, 1, 0, 9, TYPEDEF, 1], b"mine\0");
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                let _ = fits(&bytes, None, &kernel);
                let _ = fits(&good, Some(&bytes), &kernel);
                let _ = KernelBtf::new(&bytes);
            }
        }
    }
}
