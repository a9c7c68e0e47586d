//! Orders beside the real depmod and modprobe of the private root: each rule of depmod.d and of
//! soft dependencies on a tree of modules made for it. No guest is needed.

mod fixture;
mod generated;
mod object;
mod oracle;
mod requests;
mod trees;

use std::path::Path;

use stack::modules_dep;
use xtask::kernel::KernelName;

use self::{
    fixture::{Fixture, module},
    generated::generated_requests_are_answered_as_modprobe_answers_them,
    oracle::depmod_and_order_write_the_same_files,
};
use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            one_of_two_modules_is_taken_as_by_depmod,
            an_external_directory_is_for_the_kernels_its_pattern_names,
            a_module_comes_after_what_it_needs,
            soft_dependencies_load_around_their_module,
            soft_dependencies_on_each_other_end,
            weak_dependencies_load_nothing,
            a_cycle_of_symbols_has_no_order,
            modprobes_configuration_is_read_as_modprobe_reads_it,
            parameters_on_the_kernels_command_line_are_modprobes,
            generated_requests_are_answered_as_modprobe_answers_them,
            depmod_and_order_write_the_same_files,
        ],
    )
}

fn one_of_two_modules_is_taken_as_by_depmod() {
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
