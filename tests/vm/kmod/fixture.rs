//! A tree of modules made for a rule, and the real depmod and modprobe beside it.

use std::{fmt::Write as _, fs, path::PathBuf};

use ko::kmod_facts::KmodFacts;
use stack::{
    built_in::BuiltIn,
    depmod_config::DepmodConfig,
    graph::Graph,
    load_order::{LoadStep, Request, load_order},
    modprobe::Modprobe,
    modprobe_config::{ConfigFile, ModprobeConfig},
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
    tree::{aliases::modules_alias, scan::scan, walk},
};

/// The release of the trees; no kernel has it.
const RELEASE: &str = "9.9.9-fixture+1";

/// One module of a tree.
#[derive(Clone, Copy, Default)]
pub(super) struct Module {
    /// Its file, below the tree or, with a leading `/`, below the fixture's folder.
    path: &'static str,
    exports: &'static [&'static str],
    needs: &'static [&'static str],
    /// Further lines of `.modinfo`.
    modinfo: &'static [&'static str],
}

pub(super) const fn module(path: &'static str) -> Module {
    Module { path, exports: &[], needs: &[], modinfo: &[] }
}

impl Module {
    pub(super) const fn exports(self, exports: &'static [&'static str]) -> Self {
        Self { exports, ..self }
    }

    pub(super) const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    pub(super) const fn modinfo(self, modinfo: &'static [&'static str]) -> Self {
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
pub(super) struct Fixture {
    pub(super) folder: PathBuf,
    sandbox: Sandbox,
}

impl Fixture {
    /// Makes the modules. `modules.order` names them as they are listed here.
    pub(super) fn new(name: &str, modules: &[Module]) -> Self {
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

    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("lib/modules").join(RELEASE)
    }

    fn run(&self, tool: &str) -> Run {
        self.sandbox.clone().run(tool).quiet()
    }

    /// Runs depmod over the tree, with this depmod.d file.
    pub(super) fn depmod(&self, config: &str) -> Output {
        fs::write(self.folder.join("config/fixture.conf"), config).unwrap();
        let depmod = self.run("depmod").arg("-b").arg(&self.folder);
        depmod.arg("-C").arg(self.folder.join("config")).arg(RELEASE).output().unwrap()
    }

    /// The same fixture on a kernel with this command line.
    pub(super) fn with_command_line(&self, words: &str) -> Self {
        let file = self.folder.join("cmdline");
        fs::write(&file, format!("{words}\n")).unwrap();
        let sandbox = self.sandbox.clone().read_only(&file, "/proc/cmdline");
        Self { folder: self.folder.clone(), sandbox }
    }

    /// Returns the actions of modprobe for a name under a modprobe.d file, a line for each action.
    /// It may name a file twice, and then finds it loaded.
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

    pub(super) fn graph(&self, config: &str) -> Graph {
        let config = DepmodConfig::default().with_file(config, RELEASE).unwrap();
        let scan = scan(walk::some_modules(&self.tree(), &config).unwrap().modules);
        assert!(scan.unreadable.is_empty(), "{:?}", scan.unreadable);
        Graph::new(scan.modules)
    }

    /// Holds each of our files against depmod's, and returns modules.dep.
    pub(super) fn same_as_depmod(&self, config: &str) -> String {
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
    pub(super) fn same_as_modprobe(&self, name: &str) -> Vec<String> {
        self.same_as_modprobe_with("", name)
    }

    /// The same under a modprobe.d file.
    pub(super) fn same_as_modprobe_with(&self, config: &str, name: &str) -> Vec<String> {
        let graph = self.graph("");
        let words = fs::read_to_string(self.folder.join("cmdline")).unwrap_or_default();
        let file = ConfigFile { path: "fixture.conf".into(), text: config.to_owned() };
        let config_read = ModprobeConfig::of(&graph, vec![file], KmodFacts::TRIXIE);
        let config_read = config_read.with_command_line(&words);
        let modprobe = Modprobe::new(&graph, config_read, BuiltIn::default()).unwrap();
        let order = load_order(&modprobe, &[Request::Name(name.to_owned())], None);
        let action = |step: &LoadStep<'_>| match &step.install {
            Some(command) => format!("install {command} {}", step.options),
            None => {
                let file = &graph.modules()[step.index.unwrap()].file.full;
                format!("insmod {} {}", file.display(), step.options)
            }
        };
        let ours: Vec<String> =
            order.steps.iter().map(|step| action(step).trim().to_owned()).collect();
        assert_eq!(ours, self.modprobe(config, name), "{name} under {config:?}");
        order.steps.into_iter().map(|step| step.module).collect()
    }
}
