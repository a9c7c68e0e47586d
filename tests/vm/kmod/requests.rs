//! Generated configurations and requests of modprobe: trees, built-in names, files of several
//! directories, the kernel's command line, and the names that are asked for.

use proptest::{collection::vec, option, prelude::*, sample::select};

/// A tree, its configuration, and what modprobe is asked for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The modules of [`MODULES`] that are there, and the contents of each.
    pub(super) modules: Vec<Option<GeneratedModule>>,
    /// The lines of `modules.builtin`.
    pub(super) built_in: Vec<String>,
    /// The strings of `modules.builtin.modinfo`.
    pub(super) built_in_modinfo: Vec<String>,
    /// The files of each directory of modprobe.d.
    pub(super) folders: Vec<Vec<(String, String)>>,
    /// The kernel's command line.
    pub(super) command_line: String,
    /// The names.
    pub(super) requests: Vec<String>,
}

/// One module.
#[derive(Clone, Debug)]
pub(super) struct GeneratedModule {
    /// The modules before it in [`MODULES`] whose symbols it needs, a bit each.
    pub(super) needs: u8,
    /// The lines of its `.modinfo`.
    pub(super) modinfo: Vec<String>,
}

/// The files of the modules. The module at each place exports `symbol_PLACE`.
pub(super) const MODULES: [&str; 6] = [
    "kernel/lib/alpha.ko",
    "kernel/be-ta.ko",
    "extra/c_d.ko",
    "kernel/net/d-1.ko",
    "updates/e.ko",
    "kernel/fox_trot.ko",
];

const NAMES: [&str; 16] = [
    "alpha",
    "be-ta",
    "be_ta",
    "c_d",
    "c-d",
    "d-1",
    "d_1",
    "e",
    "fox_trot",
    "fox-trot",
    "off",
    "gone",
    "built-one",
    "built_two",
    "x-y",
    "E",
];

/// The form of an alias on each bus.
const ALIASES: [&str; 22] = [
    "pci:v00008086d0000[1-3]234sv*sd*bc*sc*i*",
    "pci:v00008086d*sv*sd*bc*sc*i*",
    "pci:v*d*sv*sd*bc02sc00i*",
    "usb:v1D6Bp0002d*dc*dsc*dp*ic*isc*ip*in*",
    "usb:v1D6Bp????d*",
    "of:N*T*Cvendor,dev-xC*",
    "acpi*:PNP0A0[3-8]:*",
    "platform:be-ta",
    "hid:b0003g[!2]*v*",
    "virtio:d00000001v*",
    "dmi*:svn*:pn[A-C]-*",
    "crypto-sha*",
    "crypto-sha[0-9]5?",
    "net-pf-1",
    "char-major-10-*",
    "fs-[a-z]*",
    "x-[y-z]",
    "*",
    "q]",
    "q[-",
    "[-_a]lpha",
    "thing-?-*",
];

/// Names to ask for. None has a wildcard: for one that has, kmod's index depends on what else is in
/// it, and may give a module twice.
const REQUESTS: [&str; 20] = [
    "pci:v00008086d00001234sv00000000sd00000000bc02sc00i00",
    "pci:v00008086d00009234sv00000000sd00000000bc02sc00i00",
    "usb:v1D6Bp0002d0606dc09dsc00dp01ic09isc00ip00in00",
    "of:NserialT(null)Cvendor,dev-xCother",
    "of:NserialT(null)Cvendor,dev_xCother",
    "acpi:PNP0A03:",
    "acpi_x:PNP0A09:Y",
    "platform:be-ta",
    "platform:be_ta",
    "hid:b0003g1v2",
    "virtio:d00000001v00001AF4",
    "dmi:bvn:svnQ:pnB-1",
    "crypto-sha256",
    "crypto_sha2",
    "net-pf-1",
    "char-major-10-200",
    "fs-ext4",
    "thing-1-2",
    "symbol:symbol_1",
    "symbol:symbol_9",
];

const PATTERNS: [&str; 20] = [
    "a*",
    "*",
    "?",
    "[a-c]*",
    "b[e-f]_ta",
    "al[p-q]ha",
    "[!a]*",
    "[^e]",
    "be[-_]ta",
    "be[_-]ta",
    "[a",
    "a]",
    "[]e]",
    "[!]*",
    "c?d",
    "*_*",
    "[[:lower:]",
    "fs-*",
    "built*",
    "x-[y-z]",
];

/// Words that begin no line of modprobe.d.
const UNREAD: [&str; 5] = ["include", "config", "optionz", "Alias", ""];

/// The files of a directory: by their names `modules.softdep` comes before `modules.t.conf`.
const FILES: [&str; 6] = ["A.conf", "a.conf", "modules.conf", "modules.t.conf", "m.conf", "z.conf"];

/// The text after a module's name on the kernel's command line.
const PARAMETERS: [&str; 7] =
    [".x=1", ".y", ".z=\"a b\"", ".z=a b\"", ".=", ".x\"=1", ".dyn=file f.c +p\""];

fn name() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_map(str::to_owned)
}

/// A name or a pattern, as the first word of a line.
fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(&NAMES[..]),
        2 => select(&PATTERNS[..]),
        1 => select(&ALIASES[..]),
        2 => select(&REQUESTS[..]),
    ]
    .prop_map(str::to_owned)
}

/// The name in a soft or weak dependency.
fn wanted() -> impl Strategy<Value = String> {
    prop_oneof![5 => select(&NAMES[..]), 2 => select(&REQUESTS[..])].prop_map(str::to_owned)
}

fn soft_words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => wanted(),
        2 => Just("pre:".to_owned()),
        2 => Just("post:".to_owned()),
        1 => Just("pre:x".to_owned()),
    ];
    let begin = select(&["pre: ", "post: ", "", " pre: ", "  post: "][..]);
    (begin, vec((word, blank()), 0..5)).prop_map(|(begin, words)| {
        let words = words.into_iter().map(|(word, blank)| word + blank);
        begin.to_owned() + &words.collect::<String>()
    })
}

/// The text between the words of a line.
fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just(" "),
        2 => select(&["  ", "\t", " \t ", "   ", " \\\n", "\\\n ", "\\\n", "\u{b}", " \r"][..]),
    ]
}

fn values() -> impl Strategy<Value = String> {
    let value =
        select(&["x=1", "y=a,b", "z=\"a  b\"", "flag", "\tt=2", "$CMDLINE_OPTS", "p\\q"][..]);
    vec((value, blank()), 0..3).prop_map(|values| {
        values.into_iter().map(|(value, blank)| value.to_owned() + blank).collect()
    })
}

fn line() -> impl Strategy<Value = String> {
    let begin = prop_oneof![12 => Just(""), 1 => select(&[" ", "\t", "#", " #", "\\"][..])];
    let end = prop_oneof![
        12 => Just("\n"),
        2 => select(&[" \n", "\r\n", "\\\n", "\n\n", "", " # x\n"][..]),
    ];
    let said = prop_oneof![
        3 => (Just("alias"), pattern(), blank(), name()),
        2 => (Just("blacklist"), pattern(), blank(), Just(String::new())),
        3 => (Just("options"), pattern(), blank(), values()),
        2 => (Just("install"), pattern(), blank(), values()),
        1 => (Just("remove"), pattern(), blank(), values()),
        4 => (Just("softdep"), pattern(), blank(), soft_words()),
        1 => (Just("weakdep"), pattern(), blank(), soft_words()),
        1 => (select(&UNREAD[..]), pattern(), blank(), name()),
    ];
    (begin, said, blank(), end).prop_map(|(begin, (word, first, blank, rest), after, end)| {
        format!("{begin}{word}{blank}{first}{after}{rest}{end}")
    })
}

/// The files of one directory. Their names decide the order, and some are no configuration.
fn folder() -> impl Strategy<Value = Vec<(String, String)>> {
    let file = prop_oneof![
        8 => select(&FILES[..]),
        1 => select(&["none", "x.alias", ".h.conf", ".conf", "b.conf~", "modules.softdep"][..]),
    ];
    vec((file.prop_map(str::to_owned), vec(line(), 0..6).prop_map(|lines| lines.concat())), 0..3)
}

fn module() -> impl Strategy<Value = GeneratedModule> {
    let modinfo = prop_oneof![
        4 => select(&ALIASES[..]).prop_map(|alias| format!("alias={alias}")),
        2 => soft_words().prop_map(|words| format!("softdep={}", words.replace("\\\n", " "))),
        1 => vec(wanted(), 1..3).prop_map(|words| format!("weakdep={}", words.join(" "))),
    ];
    let needs = prop_oneof![2 => Just(0), 3 => any::<u8>()];
    (needs, vec(modinfo, 0..3)).prop_map(|(needs, modinfo)| GeneratedModule { needs, modinfo })
}

fn command_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        1 => select(&["quiet", "root=/dev/vda1", "--", "a.b.c=1", "\"", "x=\"y z\"", "."][..])
            .prop_map(str::to_owned),
        2 => vec(name(), 1..3).prop_map(|names| format!("modprobe.blacklist={}", names.join(","))),
        4 => (
            option::of(Just("\"")), pattern(),
            select(&PARAMETERS[..]),
        )
            .prop_map(|(quote, name, value)| format!("{}{name}{value}", quote.unwrap_or_default())),
    ];
    let blank = prop_oneof![6 => Just(" "), 1 => select(&["  ", "\t", "\u{b}"][..])];
    vec((word, blank), 0..4)
        .prop_map(|words| words.into_iter().map(|(word, blank)| word + blank).collect())
}

/// A case with ten requests.
pub(super) fn case() -> impl Strategy<Value = Case> {
    let built_in = prop_oneof![
        2 => select(&["kernel/built-one.ko", "kernel/x/built_two.ko", "kernel/gone.ko"][..]),
        1 => select(&MODULES[..]),
        1 => select(&["#kernel/off.ko", "no-suffix", "/abs.ko"][..]),
    ];
    let built_in_name = select(&["built_one", "built_two", "alpha", "be-ta"][..]);
    let built_in_alias = (built_in_name, select(&ALIASES[..]));
    (
        vec(option::weighted(0.8, module()), MODULES.len()),
        vec(built_in.prop_map(str::to_owned), 0..3),
        vec(built_in_alias.prop_map(|(name, alias)| format!("{name}.alias={alias}")), 0..3),
        vec(folder(), 1..4),
        prop_oneof![2 => Just(String::new()), 1 => command_line()],
        vec(
            prop_oneof![
                6 => select(&NAMES[..]),
                4 => select(&REQUESTS[..]),
            ]
            .prop_map(str::to_owned),
            10,
        ),
    )
        .prop_map(|(modules, built_in, built_in_modinfo, folders, command_line, requests)| {
            Case { modules, built_in, built_in_modinfo, folders, command_line, requests }
        })
}
