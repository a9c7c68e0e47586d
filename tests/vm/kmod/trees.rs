//! Trees of modules and configurations of depmod's that nobody wrote: made at random, and small
//! enough that a person can read the one that differs.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use liblzma::stream::{Action, Check, Stream};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::object::{Exported, Needed, Object};

/// The release of the trees; no kernel has it.
pub(super) const RELEASE: &str = "9.9.9-fixture+1";

/// A tree of modules, and how depmod is called over it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    files: Vec<File>,
    links: Vec<Link>,
    /// The lines of `modules.order`, as indices of files, and whether the last has its newline.
    order: Option<(Vec<usize>, bool)>,
    /// The folders of depmod.d files, each with its files.
    pub(super) config: Vec<Vec<ConfigFile>>,
}

#[derive(Clone, Debug)]
struct File {
    folder: &'static str,
    name: &'static str,
    suffix: &'static str,
    object: Object,
    damage: Damage,
    packing: Packing,
}

/// A symbolic link in a folder to another folder or to nothing.
#[derive(Clone, Debug)]
struct Link {
    folder: &'static str,
    name: &'static str,
    to: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    name: &'static str,
    text: String,
}

/// The damage to the bytes of a module before it was packed.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    /// Cut to so many thousandths of its length.
    Cut(usize),
    /// A byte of it changed, at so many thousandths of its length.
    Byte(usize, u8),
    /// A byte of a section header changed: the how many-th from the end.
    Header(usize, u8),
    /// Only so many bytes are left.
    Short(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Xz,
    XzTwice,
    XzPadded,
    XzTrailing,
    XzCut,
    Zstd,
    ZstdWithoutSize,
    ZstdTwice,
    ZstdEmptyLast,
    ZstdTrailing,
    ZstdSkippableFirst,
    ZstdSkippableLast,
    ZstdCut,
    Gzip,
}

const FOLDERS: [&str; 9] = [
    "kernel/a",
    "kernel/b",
    "updates",
    "updates/dkms",
    "extra",
    "weak-updates",
    "up/dates",
    "/outside",
    "/second/deep",
];
const NAMES: [&str; 8] = ["alpha", "be-ta", "be_ta", "gam-ma_1", "delta.x", "eps", ".hidden", "k"];
const SUFFIXES: [&str; 6] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz", ".txt", ".ko.bz2"];
const SYMBOLS: [&str; 8] = ["one", "two", "three", "four", "five_", "six", "module_layout", "NS"];
const ALIASES: [&str; 14] = [
    "pci:v00008086d*sv*sd*bc*sc*i*",
    "usb:v1d6Bp*d*dc*dsc*dp*ic*isc*ip*in*",
    "cpu:type:x86,ven*fam*mod*:feature:*00C0*",
    "of:N*T*Cvendor,thing-x",
    "acpi*:PNP0C0A:*",
    "dmi*:svn*:pn*:",
    "crypto-aes",
    "x[a-c]-[_-]y",
    "open[bracket",
    "devname:thing/one",
    "char-major-10-203",
    "block-major-7-*",
    "char-major-4-1-x",
    "fs-*",
];

fn object() -> impl Strategy<Value = Object> {
    let exported = (select(&SYMBOLS[..]), select(&["", "", "", "NS", "SPACE"][..]))
        .prop_map(|(symbol, namespace)| Exported { symbol, namespace });
    let needed = (select(&SYMBOLS[..]), prop::bool::weighted(0.1))
        .prop_map(|(symbol, weak)| Needed { symbol, weak });
    let words = || vec(select(&NAMES[..]), 1..3).prop_map(|words| words.join(" "));
    let modinfo = prop_oneof![
        4 => select(&ALIASES[..]).prop_map(|alias| format!("alias={alias}")),
        1 => words().prop_map(|words| format!("softdep=pre: {words}")),
        1 => words().prop_map(|words| format!("softdep=post: {words} pre: x")),
        1 => words().prop_map(|words| format!("weakdep={words}")),
        1 => select(&["license=GPL", "", "flag", "alias", "parm=x:text", "parmtype=x:int",
            "parmtype=y:bool", "alias=", "softdep=", "vermagic=9.9.9 SMP "][..])
            .prop_map(str::to_owned),
    ];
    let lists = (vec(modinfo, 0..5), vec(exported, 0..3), vec(needed, 0..3));
    let bits = (any::<bool>(), prop::bool::weighted(0.08), prop::bool::weighted(0.02));
    (lists, bits).prop_map(|((modinfo, exports, mut needs), (has_crcs, is_stripped, selfish))| {
        let is_own = |symbol| exports.iter().any(|export: &Exported| export.symbol == symbol);
        needs.retain(|need| selfish || !is_own(need.symbol));
        Object { modinfo, exports, needs, has_crcs, is_stripped }
    })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        20 => Just(Damage::None),
        1 => (0..1000usize).prop_map(Damage::Cut),
        1 => (0..1000usize, any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => (0..640usize, any::<u8>()).prop_map(|(at, byte)| Damage::Header(at, byte)),
        1 => (0..70usize).prop_map(Damage::Short),
    ]
}

/// A suffix, and mostly the packing that it names.
fn packing() -> impl Strategy<Value = (&'static str, Packing)> {
    use Packing::*;
    let zstd = [
        Zstd,
        Zstd,
        ZstdWithoutSize,
        ZstdTwice,
        ZstdEmptyLast,
        ZstdTrailing,
        ZstdSkippableFirst,
        ZstdSkippableLast,
        ZstdCut,
    ];
    let all = [Plain, Xz, Zstd, Gzip];
    prop_oneof![
        12 => Just((".ko", Plain)),
        3 => select(&[Xz, Xz, XzTwice, XzPadded, XzTrailing, XzCut][..]).prop_map(|p| (".ko.xz", p)),
        3 => select(zstd.to_vec()).prop_map(|packing| (".ko.zst", packing)),
        1 => Just((".ko.gz", Gzip)),
        1 => (select(&SUFFIXES[..]), select(all.to_vec())),
    ]
}

fn file() -> impl Strategy<Value = File> {
    let place = (select(&FOLDERS[..]), select(&NAMES[..]), packing());
    (place, object(), damage()).prop_map(|((folder, name, (suffix, packing)), object, damage)| {
        File { folder, name, suffix, object, damage, packing }
    })
}

fn link() -> impl Strategy<Value = Link> {
    let to = select(&["kernel/a", "/outside", "updates/dkms", "nowhere"][..]);
    (select(&["", "extra", "weak-updates"][..]), select(&["link", "build", "z.ko"][..]), to)
        .prop_map(|(folder, name, to)| Link { folder, name, to })
}

/// The words of a line of a depmod.d file.
fn config_words() -> impl Strategy<Value = Vec<String>> {
    let place = || {
        select(
            &[
                "updates",
                "updates/dkms",
                "built-in",
                "external",
                "extra",
                "kernel",
                "up",
                "weak-updates",
                "kernel/b",
                "updates/",
            ][..],
        )
        .prop_map(str::to_owned)
    };
    let version = || {
        select(
            &[
                "*",
                "^9\\.9",
                "9.9",
                "^9\\\\.9\\\\.9",
                "8",
                "(9|8)",
                "(",
                "fixture[+]1$",
                "fixture+1",
            ][..],
        )
        .prop_map(str::to_owned)
    };
    let names = || select(&NAMES[..]).prop_map(str::to_owned);
    let outside = select(&["@/outside", "@/second", "@/second/deep", "@/absent", "@/outside/"][..])
        .prop_map(str::to_owned);
    let word = |word: &'static str| Just(word.to_owned());
    prop_oneof![
        4 => (word("search"), vec(place(), 0..4)).prop_map(|(a, b)| [vec![a], b].concat()),
        3 => (word("override"), names(), version(), place()).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
        3 => (word("external"), version(), outside).prop_map(|(a, b, c)| vec![a, b, c]),
        1 => (word("exclude"), vec(select(&["a", "dkms", "k.ko", "extra", "deep"][..]), 0..3))
            .prop_map(|(a, b)| [vec![a], b.into_iter().map(str::to_owned).collect()].concat()),
        1 => select(&["make_map_files yes", "include /x", "override alpha *", "external", "#search extra",
            "# a comment \\", "nonsense", "", "\\"][..])
            .prop_map(|line| vec![line.to_owned()]),
    ]
}

/// A line of a depmod.d file: words, set apart by blanks of many kinds.
fn config_line() -> impl Strategy<Value = String> {
    let blank = select(&[" ", " ", " ", "  ", "\t", " \t ", "\\\n", " \\\n ", "\\ "][..]);
    let ends = (
        select(&["", "", "", "", " ", "\t"][..]),
        select(&["\n", "\n", "\n", "\n", "\n", " \n", "\r\n", "", "\\\n", "\n\n"][..]),
    );
    (config_words(), vec(blank, 6), ends).prop_map(|(words, blanks, (before, after))| {
        let mut line = before.to_owned();
        for (word, blank) in words.iter().zip(blanks) {
            line.push_str(word);
            line.push_str(blank);
        }
        line.push_str(after);
        line
    })
}

fn config() -> impl Strategy<Value = Vec<Vec<ConfigFile>>> {
    let name = select(&["a.conf", "b.conf", "z-last.conf", "note.txt", ".h.conf", ".conf"][..]);
    let file = (name, vec(config_line(), 0..4))
        .prop_map(|(name, lines)| ConfigFile { name, text: lines.concat() });
    prop_oneof![1 => Just(Vec::new()), 3 => vec(vec(file, 0..3), 1..3)]
}

/// A tree, small in one way or another.
pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let order = option::of((vec(0..8usize, 0..8), prop::bool::weighted(0.9)));
    (vec(file(), 0..8), vec(link(), 0..2), order, config())
        .prop_map(|(files, links, order, config)| Tree { files, links, order, config })
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut plain = self.object.bytes();
        let length = plain.len();
        match self.damage {
            Damage::None => {}
            Damage::Cut(part) => plain.truncate(length * part / 1000),
            Damage::Byte(at, byte) => plain[length * at / 1000] = byte,
            Damage::Header(at, byte) => plain[length - 1 - at.min(length - 1)] = byte,
            Damage::Short(left) => plain.truncate(left),
        }
        self.packing.pack(&plain)
    }

    /// The path as `modules.order` names it.
    fn order_line(&self) -> String {
        format!("{}/{}.ko", self.folder, self.name)
    }
}

fn xz(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(plain.len() + 1000);
    let mut stream = Stream::new_easy_encoder(0, Check::Crc32).unwrap();
    stream.process_vec(plain, &mut packed, Action::Finish).unwrap();
    packed
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).unwrap()
}

impl Packing {
    fn pack(self, plain: &[u8]) -> Vec<u8> {
        const SKIPPABLE: [u8; 12] = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        let halves = plain.split_at(plain.len() / 2);
        let cut = |packed: Vec<u8>| packed[..packed.len() * 2 / 3].to_vec();
        match self {
            Self::Plain => plain.to_vec(),
            Self::Xz => xz(plain),
            Self::XzTwice => [xz(halves.0), xz(halves.1)].concat(),
            Self::XzPadded => [xz(plain), vec![0; 4]].concat(),
            Self::XzTrailing => [xz(plain), b"trailing".to_vec()].concat(),
            Self::XzCut => cut(xz(plain)),
            Self::Zstd => zstd(plain),
            Self::ZstdWithoutSize => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_contentsize(false).unwrap();
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Self::ZstdTwice => [zstd(halves.0), zstd(halves.1)].concat(),
            Self::ZstdEmptyLast => [zstd(plain), zstd(b"")].concat(),
            Self::ZstdTrailing => [zstd(plain), b"trailing".to_vec()].concat(),
            Self::ZstdSkippableFirst => [SKIPPABLE.to_vec(), zstd(plain)].concat(),
            Self::ZstdSkippableLast => [zstd(plain), SKIPPABLE.to_vec()].concat(),
            Self::ZstdCut => cut(zstd(plain)),
            Self::Gzip => {
                let level = flate2::Compression::fast();
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
                gzip.write_all(plain).unwrap();
                gzip.finish().unwrap()
            }
        }
    }
}

impl Tree {
    /// Where a path of a tree lies below its base.
    fn place(base: &Path, path: &str) -> PathBuf {
        match path.strip_prefix('/') {
            Some(outside) => base.join(outside),
            None => base.join("lib/modules").join(RELEASE).join(path),
        }
    }

    /// Writes it below a folder, which is what depmod's `-b` is given.
    pub(super) fn write(&self, base: &Path) {
        let tree = Self::place(base, "");
        fs::create_dir_all(&tree).unwrap();
        for file in &self.files {
            let folder = Self::place(base, file.folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{}{}", file.name, file.suffix)), file.bytes()).unwrap();
        }
        for link in &self.links {
            let folder = Self::place(base, link.folder);
            fs::create_dir_all(&folder).unwrap();
            // Two links of one name: the first stays.
            let _ = symlink(Self::place(base, link.to), folder.join(link.name));
        }
        if let Some((lines, ends)) = self.order.as_ref().filter(|_| !self.files.is_empty()) {
            let file = |&at: &usize| self.files[at % self.files.len()].order_line();
            let mut text: String = lines.iter().map(|at| file(at) + "\n").collect();
            if !ends {
                text.pop();
            }
            fs::write(tree.join("modules.order"), text).unwrap();
        }
        for (folder, files) in self.config_folders(base).iter().zip(&self.config) {
            fs::create_dir_all(folder).unwrap();
            for ConfigFile { name, text } in files {
                let text = text.replace('@', base.to_str().unwrap());
                fs::write(folder.join(name), text).unwrap();
            }
        }
    }

    /// The folders of depmod.d files, in the order in which depmod is given them.
    pub(super) fn config_folders(&self, base: &Path) -> Vec<PathBuf> {
        (0..self.config.len()).map(|at| base.join(format!("depmod.d/{at}"))).collect()
    }
}
