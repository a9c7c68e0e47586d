//! Names and texts of others where they are printed, and output that is lost.

use std::{
    ffi::OsStr, fs, io::Read as _, os::unix::ffi::OsStrExt as _, path::Path, process::Stdio,
};

use crate::{
    files::{Said, fixture, kernel_tree, said, symstack, tree},
    harness::{Needs, Test},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Nothing => [
        escapes_in_a_name_command_no_terminal,
        bidi_controls_in_a_name_turn_nothing_around,
        a_line_end_in_a_name_forges_no_line,
        a_name_that_is_not_utf8_is_shown_as_such,
        every_form_of_a_name_is_read_by_its_own_parser,
        a_blank_in_a_name_is_refused_where_depmod_cannot_hold_it,
        escapes_in_the_arguments_command_no_terminal,
        text_of_a_module_commands_no_terminal,
        lost_output_is_said_to_be_lost,
        a_closed_pipe_is_quiet,
    ])
}

const ESCAPES: &[u8] = b"e\x1b[31m\xc2\x9b2Jred\x7f.ko";
const BIDI: &str = "a\u{202e}ok.\u{2066}\u{200f}b\u{61c}\u{2028}\u{2029}.ko";

fn is_command(c: char) -> bool {
    c.is_control() && c != '\n'
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}".contains(c)
}

/// Each answer about a module of this name, with its folder as a tree, commands nothing.
#[track_caller]
fn says_no_command(name: &[u8]) -> Vec<Said> {
    let tree = tree(&[name]);
    let kernel = kernel_tree();
    let file = &tree.path().join(OsStr::from_bytes(name));
    let broken = &tree.path().join(OsStr::from_bytes(&[b"z", name].concat()));
    fs::write(broken, "no module").unwrap();
    let (kernel, tree) = (kernel.path(), tree.path());
    let mut all = Vec::new();
    for (verb, paths) in [
        ("inspect {} {}", [file.as_path(), broken].as_slice()),
        ("inspect --json {} {}", &[file, broken]),
        ("vermagic --tree {} {} {}", &[kernel, file, broken]),
        ("check --tree {} {} {}", &[kernel, file, broken]),
        ("check --json --tree {} {}", &[kernel, file]),
        ("check --tree {} --all {}", &[kernel, tree]),
        ("check --json --tree {} --all {}", &[kernel, tree]),
        ("order --no-cache --tree {}", &[tree]),
        ("order --no-cache --json --tree {}", &[tree]),
        ("order --no-cache --format dot --tree {}", &[tree]),
        ("order --no-cache --format svg --tree {}", &[tree]),
        ("order --no-cache --format modules.dep --tree {}", &[tree]),
        ("order --no-cache --format modules.softdep --tree {}", &[tree]),
        ("order --no-cache --format modules.alias --tree {}", &[tree]),
        ("symvers diff {} {}", &[file, file]),
        ("check --tree {} {}", &[file, file]),
    ] {
        let said = said(verb, paths);
        let shown = said.out() + &said.err;
        assert!(!shown.contains(is_command), "{verb}: {shown:?}");
        assert!((0..=2).contains(&said.status), "{verb}: {}: {shown}", said.status);
        all.push(said);
    }
    all
}

fn escapes_in_a_name_command_no_terminal() {
    let said = says_no_command(ESCAPES);
    assert!(said[0].out().contains("e\\u{1b}[31m\\u{9b}2Jred\\u{7f}.ko\n"), "{}", said[0].out());
}

fn bidi_controls_in_a_name_turn_nothing_around() {
    says_no_command(BIDI.as_bytes());
}

fn a_line_end_in_a_name_forges_no_line() {
    let forged = "x\nforged: would load on 7.3.4\nx.ko";
    for Said { out, err, .. } in says_no_command(forged.as_bytes()) {
        let text = String::from_utf8(out).unwrap() + &err;
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
    }
}

fn a_name_that_is_not_utf8_is_shown_as_such() {
    let tree = tree(&[b"n\xff\xc3.ko"]);
    let file = tree.path().join(OsStr::from_bytes(b"n\xff\xc3.ko"));
    let inspected = said("inspect {}", &[&file]);
    assert!(inspected.out().contains("/n\\xff\\xc3.ko\n"), "{}", inspected.out());
    let json: serde_json::Value =
        serde_json::from_slice(&said("inspect --json {}", &[&file]).out).unwrap();
    let name = json["modules"][0]["file"].as_str().unwrap();
    assert!(name.ends_with("/n\\xff\\xc3.ko"), "{name}");
    said("order {}", &[&file]).refuses("UTF-8");
    said("check {}", &[&file]).refuses("its name is not UTF-8");
}

/// Returns the tokens that Graphviz would read, without the quoted texts (doc/info/lang of
/// Graphviz).
fn is_dot(text: &str) -> bool {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once('"') {
        plain.push_str(before);
        let mut end = None;
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => drop(chars.next()),
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else { return false };
        plain.push('T');
        rest = &quoted[end + 1..];
    }
    plain.push_str(rest);
    let mut lines = plain.lines().map(str::trim);
    let begins = lines.next() == Some("digraph stack {");
    let known = |line: &str| {
        line == "T;" || line == "T -> T [label=T];" || line == "}" || line.ends_with("];")
    };
    begins && lines.all(known) && plain.trim_end().ends_with('}')
}

fn every_form_of_a_name_is_read_by_its_own_parser() {
    let names: [&[u8]; 7] =
        [ESCAPES, BIDI.as_bytes(), b"a\nb.ko", b"q\"<&>'.ko", b"]]>--.ko", b"b\\.ko", b"t\tt.ko"];
    for name in names {
        let tree = tree(&[name]);
        let form = |format: &str| {
            let words = format!("order --no-cache {format} --tree {{}}");
            said(&words, &[tree.path()]).out()
        };
        let json: serde_json::Value = serde_json::from_str(&form("--json")).unwrap();
        let path = json["order"][0]["path"].as_str().or(json["steps"][0]["path"].as_str());
        assert_eq!(path.unwrap().as_bytes(), name, "JSON loses nothing");
        let svg = form("--format svg");
        let mut reader = quick_xml::Reader::from_str(&svg);
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Text(text) => drop(text.decode().unwrap()),
                _ => {}
            }
        }
        // XML 1.0, section 2.2.
        let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(svg.chars().all(is_char), "{svg:?}");
        let dot = form("--format dot");
        assert!(is_dot(&dot), "{dot}");
    }
}

fn a_blank_in_a_name_is_refused_where_depmod_cannot_hold_it() {
    for name in ["a b.ko", "a\nb.ko", "a\tb.ko", "\u{e4}.ko", "a:b.ko"] {
        let tree = tree(&[name.as_bytes()]);
        for format in ["modules.dep", "modules.alias", "modules.softdep", "modules.weakdep"] {
            let words = format!("order --no-cache --format {format} --tree {{}}");
            let refused = said(&words, &[tree.path()]);
            refused.refuses("no line of depmod's files can hold this name");
            assert!(refused.out.is_empty(), "{}", refused.out());
        }
    }
}

fn escapes_in_the_arguments_command_no_terminal() {
    for word in ["--\u{1b}[31m", "\u{1b}[31m"] {
        let refused = said("{}", &[Path::new(word)]);
        assert!(refused.status == 2 && !refused.err.contains(is_command), "{:?}", refused.err);
    }
}

fn text_of_a_module_commands_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ko");
    let mut bytes = fs::read(fixture("exporter-7.3.ko")).unwrap();
    for (from, to) in [
        ("description=exports of every class", "description=\u{202e}\u{1b}[31m of every class"),
        ("vermagic=7.3.4+deb13", "vermagic=\u{1b}[2J\u{2028}+deb13"),
        ("softdep=pre: crc32c post: loop", "softdep=pre: c\u{2066}2c post: loop\u{1b}"),
    ] {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let to = &to.as_bytes()[..to.len().min(from.len())];
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(&file, bytes).unwrap();
    let kernel = kernel_tree();
    let kernel = kernel.path();
    for (verb, paths) in [
        ("inspect {}", [file.as_path()].as_slice()),
        ("inspect --json {}", &[&file]),
        ("vermagic --tree {} {}", &[kernel, &file]),
        ("vermagic --json --tree {} {}", &[kernel, &file]),
        ("check --tree {} {}", &[kernel, &file]),
        ("check --json --tree {} {}", &[kernel, &file]),
        ("order --tree {}", &[folder.path()]),
        ("order --tree {} --format modules.softdep", &[folder.path()]),
    ] {
        let said = said(verb, paths);
        let shown = said.out() + &said.err;
        assert!(!shown.contains(is_command), "{verb}: {shown:?}");
    }
}

fn lost_output_is_said_to_be_lost() {
    let (kernel, module, tree) = (kernel_tree(), fixture("exporter-7.3.ko"), tree(&[b"a.ko"]));
    let (kernel, tree) = (kernel.path(), tree.path());
    let old = fixture("old.symvers");
    let (old, new) = (old.as_path(), fixture("new.symvers"));
    for (verb, paths) in [
        ("--help", [].as_slice()),
        ("prove --help", &[]),
        ("inspect {}", &[module.as_path()]),
        ("inspect --json {}", &[&module]),
        ("vermagic --tree {} {}", &[kernel, &module]),
        ("vermagic --json --tree {}", &[kernel]),
        ("check --tree {} {}", &[kernel, &module]),
        ("check --json --tree {} {}", &[kernel, &module]),
        ("check --tree {} --all {}", &[kernel, tree]),
        ("order --tree {}", &[tree]),
        ("order --json --tree {}", &[tree]),
        ("order --format dot --tree {}", &[tree]),
        ("order --format svg --tree {}", &[tree]),
        ("order --format modules.dep --tree {}", &[tree]),
        ("symvers diff {} {}", &[old, &new]),
        ("symvers diff --json {} {}", &[old, &new]),
        ("kernels", &[]),
        ("kernels --json", &[]),
        ("doctor", &[]),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = symstack(verb, paths);
        let mut child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = child.wait().unwrap().code();
        assert_eq!(status, Some(69), "{verb}: {err}");
        assert!(err.contains("error: the output is lost: No space left"), "{verb}: {err}");
    }
}

fn a_closed_pipe_is_quiet() {
    let module = fixture("exporter-7.3.ko");
    for verb in ["--help", "inspect {}", "inspect --json {}"] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut command = symstack(verb, &[&module]);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{verb}");
        assert_eq!(ended.status.code(), Some(141), "{verb}");
    }
}
