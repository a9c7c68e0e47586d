//! A proof as KTAP, the kernel's own form of test results: a test for each kernel, a subtest for
//! each question. Source: Documentation/dev-tools/ktap.rst, version 1.

use std::fmt::Write as _;

use super::{
    KernelProof, StackProof, one_line,
    point::{Answered, Point},
};

/// A proof as text.
pub fn text(proof: &StackProof) -> String {
    // Writing to a String cannot fail, here and below.
    let mut text = format!("KTAP version 1\n1..{}\n", proof.kernels.len());
    for (number, kernel) in (1..).zip(&proof.kernels) {
        let release = kernel.release.as_deref().unwrap_or_default();
        let name = described(&format!("{} {release}", kernel.kernel));
        let _ =
            writeln!(text, "  KTAP version 1\n  # Subtest: {name}\n  1..{}", kernel.points.len());
        for (number, point) in (1..).zip(&kernel.points) {
            write_point(&mut text, number, point);
        }
        let (result, skip) = match (kernel.kind(), kernel.is_skipped()) {
            (Some(_), _) => ("not ok", String::new()),
            (None, true) => ("ok", format!(" # SKIP {}", described(&why_skipped(kernel)))),
            (None, false) => ("ok", String::new()),
        };
        let _ = writeln!(text, "{result} {number} {name}{skip}");
    }
    text
}

/// A result, after what explains it.
fn write_point(text: &mut String, number: usize, point: &Point) {
    let name = described(&point.subject.to_string());
    if let Some(fault) = point.answer.fault() {
        let _ = writeln!(text, "  # {name}: {}", described(&fault.reason));
    }
    let (result, skip) = match &point.answer {
        Answered::Holds => ("ok", String::new()),
        Answered::Skipped(fault) | Answered::NotForKernel(fault) | Answered::NoDevice(fault) => {
            ("ok", format!(" # SKIP {}", described(&fault.reason)))
        }
        Answered::Fails(..) | Answered::Differs(_) => ("not ok", String::new()),
    };
    let _ = writeln!(text, "  {result} {number} {name}{skip}");
}

fn why_skipped(kernel: &KernelProof) -> String {
    let faults = kernel.points.iter().filter_map(|point| point.answer.fault());
    faults.map(|fault| fault.reason.clone()).next().unwrap_or_default()
}

/// A description. A `#` would begin a directive.
fn described(text: &str) -> String {
    one_line(text).replace('#', "")
}
