//! Orders beside the real depmod and modprobe of the private root: each rule of depmod.d and of
//! soft dependencies on a tree of modules made for it. No guest is needed.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use stack::{
    depmod_config::DepmodConfig,
    graph::Graph,
    load_order::{LoadStep, load_order_with},
    modprobe_config::ModprobeConfig,
    module_name::ModuleName,
    modules_dep, modules_lists,
};
use xtask::{
    build::project,
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
        run::{Output, Run},
        sandbox::Sandbox,
    },
    kernel::KernelName,
    tree::{aliases::modules_alias, scan::scan, walk},
};

use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            which_of_two_modules_is_taken,
            an_external_directory_is_for_the_kernels_its_pattern_names,
            a_module_comes_after_what_it_needs,
            soft_dependencies_load_around_their_module,
            soft_dependencies_on_each_other_end,
            weak_dependencies_load_nothing,
            a_cycle_of_symbols_has_no_order,
            modprobes_configuration_is_read_as_modprobe_reads_it,
            parameters_on_the_kernels_command_line_are_modprobes,
        ],
    )
}

/// The release of the trees; no kernel has it.
const RELEASE: &str = "9.9.9-fixture+1";

/// One module of a tree.
#[derive(Clone, Copy, Default)]
struct Module {
    /// Its file, below the tree or, with a leading `/`, below the fixture's folder.
    path: &'static str,
    exports: &'static [&'static str],
    needs: &'static [&'static str],
    /// Further lines of `.modinfo`.
    modinfo: &'static [&'static str],
}

const fn module(path: &'static str) -> Module {
    Module { path, exports: &[], needs: &[], modinfo: &[] }
}

impl Module {
    const fn exports(self, exports: &'static [&'static str]) -> Self {
        Self { exports, ..self }
    }

    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    const fn modinfo(self, modinfo: &'static [&'static str]) -> Self {
        Self { modinfo, ..self }
    }

    /// Assembly for it: the tables that the kernel's own macros make, and nothing that runs.
    fn source(&self) -> String {
        let name = ModuleName::of_file(self.path.rsplit('/').next().unwrap()).unwrap();
        let mut source = format!(".section .modinfo,\"a\"\n.asciz \"name={name}\"\n");
        for line in self.modinfo {
            writeln!(source, ".asciz \"{line}\"").unwrap();
        }
        for (at, symbol) in self.exports.iter().enumerate() {
            write!(
                source,
                ".text\n.globl {symbol}\n{symbol}: .byte 0x90\n\
                 .section __ksymtab_strings,\"aMS\",@progbits,1\n\
                 .Lname{at}: .asciz \"{symbol}\"\n.Lspace{at}: .asciz \"\"\n\
                 .section __kflagstab,\"a\"\n.byte 0\n.section __ksymtab,\"a\"\n.balign 4\n\
                 .long {symbol} - .\n.long .Lname{at} - .\n.long .Lspace{at} - .\n"
            )
            .unwrap();
        }
        for symbol in self.needs {
            writeln!(source, ".text\n.quad {symbol}").unwrap();
        }
        source
    }
}

/// A tree of modules, and the tools of the private root beside it.
struct Fixture {
    folder: PathBuf,
    sandbox: Sandbox,
}

impl Fixture {
    /// Makes the modules. `modules.order` names them as they are listed here.
    fn new(name: &str, modules: &[Module]) -> Self {
        let folder = project().join("target/build/kmod-fixtures").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("config")).unwrap();
        let root = Root::obtain(&Cache::open().unwrap(), TRIXIE).unwrap();
        let fixture = Self { sandbox: root.sandbox().bind(&folder), folder };
        let mut script = String::from("set -e\n");
        let mut order = String::new();
        for (at, module) in modules.iter().enumerate() {
            let file = match module.path.strip_prefix('/') {
                Some(path) => fixture.folder.join(path),
                None => {
                    writeln!(order, "{}", module.path).unwrap();
                    fixture.tree().join(module.path)
                }
            };
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let source = fixture.folder.join(format!("{at}.s"));
            fs::write(&source, module.source()).unwrap();
            writeln!(script, "as -o '{}' '{}'", file.display(), source.display()).unwrap();
        }
        fs::write(fixture.tree().join("modules.order"), order).unwrap();
        for file in ["modules.builtin", "modules.builtin.modinfo"] {
            fs::write(fixture.tree().join(file), "").unwrap();
        }
        fixture.run("sh").args(["-c", &script]).stdout().unwrap();
        fixture
    }

    fn tree(&self) -> PathBuf {
        self.folder.join("lib/modules").join(RELEASE)
    }

    fn run(&self, tool: &str) -> Run {
        self.sandbox.clone().run(tool).quiet()
    }

    /// Runs depmod over the tree, with this depmod.d file.
    fn depmod(&self, config: &str) -> Output {
        fs::write(self.folder.join("config/fixture.conf"), config).unwrap();
        let depmod = self.run("depmod").arg("-b").arg(&self.folder);
        depmod.arg("-C").arg(self.folder.join("config")).arg(RELEASE).output().unwrap()
    }

    /// The same fixture on a kernel with this command line.
    fn with_command_line(&self, words: &str) -> Self {
        let file = self.folder.join("cmdline");
        fs::write(&file, format!("{words}\n")).unwrap();
        let sandbox = self.sandbox.clone().read_only(&file, "/proc/cmdline");
        Self { folder: self.folder.clone(), sandbox }
    }

    /// What modprobe would do for a name under a modprobe.d file, a line for each action. It may
    /// name a file twice, and then finds it loaded.
    fn modprobe(&self, config: &str, name: &str) -> Vec<String> {
        fs::write(self.folder.join("config/fixture.conf"), config).unwrap();
        let modprobe = self.run("modprobe").arg("-d").arg(&self.folder).args(["-S", RELEASE]);
        let modprobe = modprobe.arg("-C").arg(self.folder.join("config"));
        let text = modprobe.args(["--show-depends", name]).stdout().unwrap();
        let mut actions: Vec<String> = Vec::new();
        for action in text.lines().map(|line| line.trim().to_owned()) {
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
        actions
    }

    fn graph(&self, config: &str) -> Graph {
        let config = DepmodConfig::default().with_file(config, RELEASE).unwrap();
        let scan = scan(walk::modules(&self.tree(), &config).unwrap());
        assert!(scan.unreadable.is_empty(), "{:?}", scan.unreadable);
        Graph::new(scan.modules)
    }

    /// Holds each of our files against depmod's, and returns modules.dep.
    fn same_as_depmod(&self, config: &str) -> String {
        let output = self.depmod(config);
        assert!(output.status.success(), "{}", output.stderr);
        let graph = self.graph(config);
        let theirs = |name: &str| fs::read_to_string(self.tree().join(name)).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let dep = modules_dep::write(&graph).unwrap();
        assert_eq!(dep, theirs("modules.dep"), "{config}");
        let files: Vec<_> = graph.modules().iter().map(|module| module.file.clone()).collect();
        assert_eq!(text(modules_alias(&files).0), theirs("modules.alias"));
        assert_eq!(text(modules_lists::softdeps(&graph)), theirs("modules.softdep"));
        assert_eq!(text(modules_lists::weakdeps(&graph)), theirs("modules.weakdep"));
        dep
    }

    /// Holds our order for a name against modprobe's, and returns the modules' names.
    fn same_as_modprobe(&self, name: &str) -> Vec<String> {
        self.same_as_modprobe_with("", name)
    }

    /// The same under a modprobe.d file.
    fn same_as_modprobe_with(&self, config: &str, name: &str) -> Vec<String> {
        let graph = self.graph("");
        let words = fs::read_to_string(self.folder.join("cmdline")).unwrap_or_default();
        let modprobe_config = ModprobeConfig::new().with_file(config).with_command_line(&words);
        let wanted = modprobe_config.lookup(&graph, name);
        let order = load_order_with(&graph, &wanted, None, &modprobe_config).unwrap();
        let action = |step: &LoadStep<'_>| match step.install {
            Some(command) => format!("install {command} {}", step.options),
            None => {
                let file = &graph.modules()[step.index].file.full;
                format!("insmod {} {}", file.display(), step.options)
            }
        };
        let ours: Vec<String> =
            order.steps.iter().map(|step| action(step).trim().to_owned()).collect();
        assert_eq!(ours, self.modprobe(config, name), "{name} under {config:?}");
        order.steps.iter().map(|step| step.module.to_owned()).collect()
    }
}

fn which_of_two_modules_is_taken() {
    let fixture = Fixture::new(
        "search",
        &[
            module("kernel/a-b.ko"),
            module("kernel/only.ko"),
            module("extra/a-b.ko"),
            module("extra2/a-b.ko"),
            module("updates/a-b.ko"),
        ],
    );
    for (config, taken) in [
        ("", "updates/a-b.ko"),
        ("search extra built-in\n", "extra/a-b.ko"),
        ("search extra2 extra built-in\n", "extra2/a-b.ko"),
        ("# search extra\nsearch updates \\\n extra built-in\n", "updates/a-b.ko"),
        ("override a-b * extra\n", "extra/a-b.ko"),
        ("override a-b ^9\\.9 extra2\n", "extra2/a-b.ko"),
        ("override a-b 9.9.9-fixture+1 extra2\n", "updates/a-b.ko"),
        ("override a-b (8|7)\\. extra\noverride a-b fixture[+]1$ extra2\n", "extra2/a-b.ko"),
        ("override a-b * extra\noverride a-b * extra2\n", "extra2/a-b.ko"),
        ("exclude updates\nsearch extra built-in\n", "extra/a-b.ko"),
    ] {
        let dep = fixture.same_as_depmod(config);
        assert!(dep.contains(&format!("{taken}:")), "{config}: {dep}");
    }
}

fn an_external_directory_is_for_the_kernels_its_pattern_names() {
    let fixture = Fixture::new(
        "external",
        &[module("kernel/a.ko"), module("/outside/a.ko"), module("/second/a.ko")],
    );
    let (outside, second) = (fixture.folder.join("outside"), fixture.folder.join("second"));
    let (outside, second) = (outside.display(), second.display());
    for (config, taken) in [
        (format!("external * {outside}\nsearch external built-in\n"), format!("{outside}/a.ko")),
        (format!("external * {outside}\nsearch built-in external\n"), "kernel/a.ko".into()),
        (format!("external 9.9 {outside}\nsearch external built-in\n"), format!("{outside}/a.ko")),
        (format!("external ^9$ {outside}\nsearch external built-in\n"), "kernel/a.ko".into()),
        (
            format!("external * {outside} {second}\nsearch external built-in\n"),
            format!("{outside}/a.ko"),
        ),
        (
            format!("external * {outside}\nexternal * {second}\nsearch external built-in\n"),
            String::new(),
        ),
    ] {
        let dep = fixture.same_as_depmod(&config);
        assert!(dep.contains(&format!("{taken}:")), "{config}: {dep}");
    }
}

fn a_module_comes_after_what_it_needs() {
    let fixture = Fixture::new(
        "depends",
        &[
            module("kernel/top.ko").needs(&["m", "b", "absent"]),
            module("kernel/base.ko").exports(&["b"]).modinfo(&[
                "alias=pci:v-[0-9]*",
                "alias=x-y",
                "alias=q]",
                "alias=q[-",
            ]),
            module("kernel/middle.ko").exports(&["m"]).needs(&["b"]),
            module("kernel/side.ko").exports(&["s"]).needs(&["b"]),
            module("kernel/both.ko").needs(&["s", "m"]),
        ],
    );
    fixture.same_as_depmod("");
    assert_eq!(fixture.same_as_modprobe("top"), ["base", "middle", "top"]);
    assert_eq!(fixture.same_as_modprobe("both").len(), 4);
    assert_eq!(fixture.same_as_modprobe("base"), ["base"]);
}

fn soft_dependencies_load_around_their_module() {
    let fixture = Fixture::new(
        "softdep",
        &[
            module("kernel/top.ko")
                .needs(&["b"])
                .modinfo(&["softdep=pre: before-it crypto-x post: after absent"]),
            module("kernel/base.ko").exports(&["b"]).modinfo(&["softdep=pre: deep"]),
            module("kernel/before_it.ko").modinfo(&["softdep=post: late"]),
            module("kernel/by-alias.ko").modinfo(&["alias=crypto-*"]),
            module("kernel/after.ko").needs(&["b"]),
            module("kernel/deep.ko"),
            module("kernel/late.ko"),
        ],
    );
    fixture.same_as_depmod("");
    assert_eq!(fixture.same_as_modprobe("top").len(), 7);
    assert_eq!(fixture.same_as_modprobe("after"), ["deep", "base", "after"]);
}

fn soft_dependencies_on_each_other_end() {
    let fixture = Fixture::new(
        "softdep-loop",
        &[
            module("kernel/a.ko").needs(&["b"]).modinfo(&["softdep=pre: c"]),
            module("kernel/b.ko").exports(&["b"]).modinfo(&["softdep=post: a"]),
            module("kernel/c.ko").modinfo(&["softdep=pre: d post: b"]),
            module("kernel/d.ko").modinfo(&["softdep=pre: c"]),
        ],
    );
    fixture.same_as_depmod("");
    for module in ["a", "b", "c", "d"] {
        fixture.same_as_modprobe(module);
    }
}

fn weak_dependencies_load_nothing() {
    let fixture = Fixture::new(
        "weakdep-loop",
        &[
            module("kernel/a.ko").modinfo(&["weakdep=b", "weakdep=c-d e"]),
            module("kernel/b.ko").modinfo(&["weakdep=a"]),
            module("kernel/c-d.ko"),
        ],
    );
    fixture.same_as_depmod("");
    assert_eq!(fixture.same_as_modprobe("a"), ["a"]);
    assert_eq!(fixture.same_as_modprobe("b"), ["b"]);
}

fn a_cycle_of_symbols_has_no_order() {
    let fixture = Fixture::new(
        "cycle",
        &[
            module("kernel/a.ko").exports(&["a"]).needs(&["b"]),
            module("kernel/b.ko").exports(&["b"]).needs(&["a"]),
            module("kernel/c.ko"),
        ],
    );
    let output = fixture.depmod("");
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("Cycle detected: a -> b -> a"), "{}", output.stderr);
    assert!(!Path::new(&fixture.tree().join("modules.dep")).exists());
    let cycles = modules_dep::write(&fixture.graph("")).unwrap_err();
    assert_eq!(cycles[0].to_string(), "dependency cycle: a -> b -> a");
}

fn modprobes_configuration_is_read_as_modprobe_reads_it() {
    let fixture = Fixture::new(
        "modprobe.d",
        &[
            module("kernel/top.ko").needs(&["b"]),
            module("kernel/base.ko").exports(&["b"]),
            module("kernel/soft.ko").modinfo(&["softdep=pre: side"]),
            module("kernel/side.ko").modinfo(&["alias=thing-*"]),
        ],
    );
    fixture.same_as_depmod("");
    for (config, name, modules) in [
        // An alias to nothing hides a name, but not what another module needs.
        ("alias base off\n", "base", &[][..]),
        ("alias base off\n", "top", &["base", "top"]),
        ("alias thing-x off\n", "thing-x", &[]),
        ("alias thing-x top\n", "thing-x", &["base", "top"]),
        ("", "thing-x", &["side"]),
        ("alias side off\n", "soft", &["soft"]),
        // Commands that call each other are named, not followed.
        ("install base modprobe top\ninstall top modprobe base\n", "top", &["base", "top"]),
        ("install base modprobe top\ninstall top modprobe base\n", "base", &["base"]),
        ("install soft /bin/true\ninstall side /bin/true\n", "soft", &["side", "soft"]),
        ("softdep base pre: side\n", "top", &["side", "base", "top"]),
        ("softdep soft post: base\n", "soft", &["soft", "base"]),
        ("options base x=1 y=2\noptions top z\noptions base w=3\n", "top", &["base", "top"]),
        ("blacklist base\nblacklist top\n", "top", &["base", "top"]),
    ] {
        assert_eq!(fixture.same_as_modprobe_with(config, name), modules, "{config}");
    }
}

fn parameters_on_the_kernels_command_line_are_modprobes() {
    let fixture = Fixture::new(
        "cmdline",
        &[module("kernel/top-one.ko").needs(&["b"]), module("kernel/base.ko").exports(&["b"])],
    );
    fixture.same_as_depmod("");
    for words in [
        "quiet base.x=1 top_one.y top-one.z=2 root=/dev/vda1",
        "base.text=\"a b\" base.w",
        "\"base.text=a b\" base.w",
        "base.a.b=1 base=1 base ba\"se.x=1\" base.\"x\"=1",
        "base.x=1 base.y=\"open base.z=2",
        "modprobe.blacklist=base,top-one base.x=1",
        "base.x=1\ttop-one.y=2  base.x=3",
        "base.=1 .x=1 base.x=",
    ] {
        let fixture = fixture.with_command_line(words);
        let loaded = fixture.same_as_modprobe_with("options base first=0\n", "top-one");
        assert_eq!(loaded, ["base", "top_one"], "{words}");
    }
}
