//! The forms of a proof. It is made by hand, with each kind of answer, and with names and lines
//! that a hostile module could bring.

use std::time::Duration;

use ko::license::License;
use xtask::{
    guest::report::{CommandReport, Message},
    printer,
    problem::Kind,
    proof::{
        ExportInStack, KernelProof, ModuleInStack, ProofStep, StackProof, grid, json, junit, ktap,
        point::{Answered, Fault, Point, Subject},
        web_page,
    },
};

/// A text that would break out of any of the forms.
const HOSTILE: &str = "</pre><script>alert(1)</script> & \"]]> # SKIP\nok 1 fake\x1b[2J\u{ffff}\u{202e}\u{2028}\u{9b}";

fn step(what: &str, command: &str, status: u8, output: &str, log: &[u8]) -> ProofStep {
    let kernel = Message::parse(log).into_iter().collect();
    let (command, output) = (command.to_owned(), output.as_bytes().to_owned());
    let report = CommandReport { command, status, output, kernel, ..CommandReport::default() };
    ProofStep { what: what.into(), report }
}

fn module(name: &str, uses: &[&str], exports: &[(&str, bool, &[&str])]) -> ModuleInStack {
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let exports = exports.iter().map(|(symbol, gpl_only, users)| ExportInStack {
        symbol: symbol.to_string(),
        license: if *gpl_only { License::GplOnly } else { License::Any },
        users: strings(users),
    });
    ModuleInStack { name: name.into(), uses: strings(uses), exports: exports.collect() }
}

fn module_points(check: Answered, load: Answered, unload: Answered) -> [Point; 3] {
    let name = || "upper".to_owned();
    [
        Point::new(Subject::Check(name()), check),
        Point { step: Some(1), ..Point::new(Subject::Load(name()), load) },
        Point::new(Subject::Unload(name()), unload),
    ]
}

fn kernel(name: &str, points: Vec<Point>) -> KernelProof {
    KernelProof {
        kernel: name.into(),
        release: Some(format!("7.3.4-{name}")),
        points,
        modules: vec![
            module(
                "lower",
                &[],
                &[("lower_answer", true, &["upper"]), ("lower_other", false, &[])],
            ),
            module("upper", &["lower"], &[]),
        ],
        steps: vec![
            step("depmod", "depmod -a", 0, "", b""),
            step("load upper", "modprobe -v upper", 1, HOSTILE, b"6,1,2,-;upper: </pre><b>\n"),
        ],
        kallsyms: vec!["ffffffffc0a01000 T lower_answer\t[lower]".into()],
        picture: "<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>\n".into(),
        time: Duration::from_millis(2345),
        ..KernelProof::default()
    }
}

fn proof() -> StackProof {
    let holds = || Answered::Holds;
    let build = |answer| Point::new(Subject::Build, answer);
    let log = |answer| Point::new(Subject::Log, answer);
    let skipped = || Answered::skipped("-", "it is not loaded");
    let good = [module_points(holds(), holds(), holds()).to_vec(), vec![log(holds())]].concat();
    let not_for_it = Answered::NotForKernel(Fault::new("not for it", "it is for others"));
    let mut newer = kernel("newer", vec![build(not_for_it)]);
    (newer.modules, newer.steps, newer.kallsyms) = Default::default();
    let mut no_rust = kernel("old", vec![build(Answered::skipped("no Rust", "a.rs is Rust"))]);
    (no_rust.modules, no_rust.steps, no_rust.kallsyms) = Default::default();
    no_rust.build_said = "a.c:1: error: <no> & \"never\"".into();
    let fails = Answered::fails("WARNING", HOSTILE);
    let differs = Answered::Differs(Fault::new("refused", "we said that it loads"));
    let lost = Answered::Fails(Kind::Host, Fault::new("hangs", "the guest hangs"));
    StackProof {
        stack: "/stacks/<two>".into(),
        kernels: vec![
            kernel("good", [vec![build(holds())], good].concat()),
            kernel("bad", module_points(holds(), fails, skipped()).to_vec()),
            kernel("odd", module_points(holds(), differs, skipped()).to_vec()),
            kernel(
                "lost",
                [module_points(holds(), lost.clone(), skipped()).to_vec(), vec![log(lost)]]
                    .concat(),
            ),
            no_rust,
            newer,
        ],
        by_dkms: true,
    }
}

#[test]
fn a_proof_has_the_forms_that_it_had() {
    let proof = proof();
    assert_eq!(proof.kind(), Some(Kind::DoesNotHold));
    let json = printer::json_text(&json::form(&proof)).unwrap();
    let xml = String::from_utf8(junit::xml(&proof).unwrap()).unwrap();
    let forms = [
        ("txt", grid::text(&proof)),
        ("json", json),
        ("xml", xml),
        ("ktap", ktap::text(&proof)),
        ("html", web_page::page(&proof, "A <stack>, proven")),
    ];
    for (extension, form) in forms {
        super::hold("prove", extension, form);
    }
}

#[test]
fn nothing_that_a_module_brought_breaks_out() {
    let proof = proof();
    let page = web_page::page(&proof, "A stack, proven");
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\x1b'));
    assert!(page.contains("&lt;/pre&gt;&lt;script&gt;alert(1)"), "it is shown all the same");
    let ktap = ktap::text(&proof);
    assert!(!ktap.lines().any(|line| line.starts_with("ok 1 fake")), "{ktap}");
    assert!(!grid::text(&proof).contains("\nok 1 fake"));
    let xml = String::from_utf8(junit::xml(&proof).unwrap()).unwrap();
    for form in [page, ktap, grid::text(&proof), xml] {
        let commands = |c: char| c != '\n' && ko::text::is_command(c);
        assert!(!form.contains(commands), "{form:?}");
    }
}

/// Read by a parser that others wrote.
#[test]
fn junits_form_is_read_as_what_was_meant() {
    let xml = String::from_utf8(junit::xml(&proof()).unwrap()).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let counts = (report.tests, report.failures, report.errors);
    assert_eq!(counts, (17, 2, 2));
    assert_eq!(report.test_suites.len(), 6);
    let bad = &report.test_suites[1];
    assert_eq!((bad.tests, bad.failures, bad.errors), (3, 1, 0));
    let case = &bad.test_cases[1];
    assert_eq!(case.name.as_str(), "load upper");
    let quick_junit::TestCaseStatus::NonSuccess { message, .. } = &case.status else {
        panic!("a failure is no success")
    };
    assert!(message.as_ref().unwrap().as_str().starts_with("WARNING: </pre><script>"));
}
