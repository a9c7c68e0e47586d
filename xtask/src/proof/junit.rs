//! A proof as JUnit's XML: a suite for each kernel, a case for each question.

use std::io::{self, Write as _};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{
    KernelProof, StackProof, one_line,
    point::{Answered, Fault, Point},
};
use crate::problem::{Kind, OrProblem, Result};

/// Writes a proof. What is not possible on this machine is an `error`, what does not hold is a
/// `failure`.
///
/// # Errors
/// None that occurs: it is written into memory.
pub fn xml(proof: &StackProof) -> Result<Vec<u8>> {
    written(proof).or_host(|| "JUnit's form cannot be written".into())
}

fn written(proof: &StackProof) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = counts(proof.kernels.iter().flat_map(|kernel| &kernel.points));
    let seconds: f64 = proof.kernels.iter().map(|kernel| kernel.time.as_secs_f64()).sum();
    let suites =
        writer.create_element("testsuites").with_attribute(("name", &*one_line(&proof.stack)));
    let suites = suites.with_attributes(counts.iter().map(|(name, count)| (*name, count.as_str())));
    let suites = suites.with_attribute(("time", &*format!("{seconds:.3}")));
    suites.write_inner_content(|writer| {
        proof.kernels.iter().try_for_each(|kernel| suite(writer, kernel))
    })?;
    let mut xml = writer.into_inner();
    writeln!(xml)?;
    Ok(xml)
}

/// The number of answers of each kind.
fn counts<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> [(&'static str, String); 4] {
    let count = |is: fn(&Answered) -> bool| {
        points.clone().filter(|point| is(&point.answer)).count().to_string()
    };
    [
        ("tests", count(|_| true)),
        ("failures", count(|answer| answer.kind() == Some(Kind::DoesNotHold))),
        ("errors", count(|answer| answer.kind().is_some_and(|k| k != Kind::DoesNotHold))),
        ("skipped", count(|answer| answer.kind().is_none() && *answer != Answered::Holds)),
    ]
}

fn suite(writer: &mut Writer<Vec<u8>>, kernel: &KernelProof) -> io::Result<()> {
    let name = match &kernel.release {
        Some(release) => format!("{} ({release})", kernel.kernel),
        None => kernel.kernel.clone(),
    };
    let counts = counts(kernel.points.iter());
    let suite = writer.create_element("testsuite").with_attribute(("name", &*one_line(&name)));
    let suite = suite.with_attributes(counts.iter().map(|(name, count)| (*name, count.as_str())));
    let suite = suite.with_attribute(("time", &*format!("{:.3}", kernel.time.as_secs_f64())));
    suite.write_inner_content(|writer| {
        kernel.points.iter().try_for_each(|point| case(writer, kernel, point))
    })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, kernel: &KernelProof, point: &Point) -> io::Result<()> {
    let name = one_line(&point.subject.to_string());
    let case =
        writer.create_element("testcase").with_attribute(("classname", &*one_line(&kernel.kernel)));
    let case = case.with_attribute(("name", &*name));
    let (element, fault) = match &point.answer {
        Answered::Holds => {
            case.write_empty()?;
            return Ok(());
        }
        Answered::Skipped(fault) | Answered::NotForKernel(fault) | Answered::NoDevice(fault) => {
            ("skipped", fault)
        }
        Answered::Fails(Kind::DoesNotHold, fault) | Answered::Differs(fault) => ("failure", fault),
        Answered::Fails(_, fault) => ("error", fault),
    };
    let said = transcript(kernel, point);
    case.write_inner_content(|writer| {
        let Fault { word, reason } = fault;
        let (word, reason) = (one_line(word), one_line(reason));
        let fault = writer.create_element(element);
        let fault = fault.with_attribute(("message", &*format!("{word}: {reason}")));
        let fault =
            if element == "skipped" { fault } else { fault.with_attribute(("type", &*word)) };
        fault.write_empty()?;
        if !said.is_empty() {
            let out = writer.create_element("system-out");
            out.write_text_content(BytesText::new(&said))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Returns the words about a question.
fn transcript(kernel: &KernelProof, point: &Point) -> String {
    let Some(step) = point.step.and_then(|step| kernel.steps.get(step)) else {
        return String::new();
    };
    let said = format!(
        "# {}\n{}\n{}",
        step.report.command,
        step.report.text().trim_end(),
        step.report.kernel_text()
    );
    said.lines().map(|line| format!("{}\n", one_line(line))).collect()
}
