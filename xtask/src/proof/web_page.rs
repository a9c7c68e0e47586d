//! A proof as one page for a browser: nothing in it is fetched, and nothing in it is run.

use std::path::Path;

use ko::{
    license::License,
    text::{SymbolName, Text},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    KernelProof, ModuleInStack, ProofStep, StackProof,
    grid::{self, Row},
    one_line,
    point::{Answered, Fault, Point},
};
use crate::{host::file_system::write_given, problem::Result};

/// The rights of the page: show itself, in its own style. A name that a module brought could not
/// run a script even if it were not escaped.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";
const STYLE: &str = include_str!("web_page.css");

/// Writes the page of a proof.
///
/// # Errors
/// The file cannot be written.
pub fn write(proof: &StackProof, title: &str, file: &Path) -> Result<()> {
    let page = page(proof, title);
    write_given(file, page)
}

/// The page of a proof.
pub fn page(proof: &StackProof, title: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (one_line(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (one_line(title)) }
                p {
                    "The stack in " code { (one_line(&proof.stack)) }
                    @if proof.by_dkms { ", built by dkms as its dkms.conf says" } "."
                }
                (table(proof))
                (reasons(proof))
                (stack(proof))
                @for kernel in &proof.kernels { (on_kernel(kernel)) }
            }
        }
    };
    page.into_string() + "\n"
}

fn table(proof: &StackProof) -> Markup {
    html! {
        div.wide { table {
            thead { tr {
                th scope="col" { "question" }
                @for kernel in &proof.kernels {
                    th scope="col" {
                        a href={ "#" (anchor(kernel)) } { (one_line(&kernel.kernel)) }
                        br;
                        small { (one_line(kernel.release.as_deref().unwrap_or("not prepared"))) }
                    }
                }
            } }
            tbody { @for row in grid::rows(proof) { tr {
                th scope="row" { (one_line(row.name())) }
                @for kernel in &proof.kernels { (cell(kernel, &row)) }
            } } }
        } }
    }
}

fn cell(kernel: &KernelProof, row: &Row) -> Markup {
    let class = grid::worst(kernel, row).map_or("skipped", |point| point.answer.word());
    html! { td class=(class) { (one_line(&grid::cell(kernel, row))) } }
}

fn reasons(proof: &StackProof) -> Markup {
    let lines = grid::reasons(proof);
    html! {
        @if !lines.is_empty() {
            h2 { "Why not" }
            ul { @for line in lines { li { (one_line(&line)) } } }
        }
    }
}

/// The picture and the exports, of the kernel for which most modules were built.
fn stack(proof: &StackProof) -> Markup {
    // `max_by_key` would take the last of equal ones.
    let kernel = proof.kernels.iter().rev().max_by_key(|kernel| kernel.modules.len());
    html! {
        @if let Some(kernel) = kernel.filter(|kernel| !kernel.modules.is_empty()) {
            h2 { "The stack" }
            p { "As it was built for " (one_line(&kernel.kernel)) ": an arrow leads from a \
                 module to the one that exports what it uses." }
            div.wide { (PreEscaped(&kernel.picture)) }
            h2 { "The exports and their users" }
            (exports(kernel))
        }
    }
}

fn exports(kernel: &KernelProof) -> Markup {
    let exporters = || kernel.modules.iter().filter(|module| !module.exports.is_empty());
    html! {
        @if exporters().next().is_some() {
            div.wide { table {
                thead { tr {
                    th scope="col" { "module" } th scope="col" { "symbol" }
                    th scope="col" { "for" } th scope="col" { "used by" }
                    @if !kernel.kallsyms.is_empty() { th scope="col" { "in /proc/kallsyms" } }
                } }
                @for module in exporters() { (exports_of(kernel, module)) }
            } }
        } @else {
            p { "No module of it exports a symbol." }
        }
    }
}

/// The rows of one module.
fn exports_of(kernel: &KernelProof, module: &ModuleInStack) -> Markup {
    let ModuleInStack { name, exports, .. } = module;
    html! {
        tbody { @for (at, export) in (0..).zip(exports) { tr {
            @if at == 0 { th scope="rowgroup" rowspan=(exports.len()) { (one_line(name)) } }
            td { code { (SymbolName(Text(export.symbol.as_bytes()))) } }
            td.short { @if export.license == License::GplOnly { "GPL only" } @else { "any license" } }
            td { (one_line(&export.users.join(", "))) }
            @if !kernel.kallsyms.is_empty() {
                td.short { code { (one_line(address(kernel, name, &export.symbol))) } }
            }
        } } }
    }
}

/// Where a kernel had a symbol of a module. Each line is an address, a letter, the symbol and, in
/// brackets, its module: kernel/kallsyms.c:s_show.
fn address<'k>(kernel: &'k KernelProof, module: &str, symbol: &str) -> &'k str {
    let at = kernel.kallsyms.iter().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, _, name, of] = words.as_slice() else { return None };
        let of = of.trim_matches(['[', ']']);
        (*name == symbol && of == module).then_some(*address)
    });
    at.unwrap_or_default()
}

fn on_kernel(kernel: &KernelProof) -> Markup {
    html! {
        section id=(anchor(kernel)) {
            h2 { (one_line(&kernel.kernel)) ": " (kernel.word()) }
            @if let Some(release) = &kernel.release {
                @let seconds = format!("{:.1}", kernel.time.as_secs_f64());
                p { "Linux " (one_line(release)) ", " (seconds) " s." }
            }
            @if !kernel.build_said.is_empty() {
                details { summary { "What Kbuild and the compilers said" }
                    pre { (lines(&kernel.build_said)) } }
            }
            @if !kernel.kallsyms.is_empty() {
                details { summary { "Where the symbols live in /proc/kallsyms" }
                    pre { (lines(&kernel.kallsyms.join("\n"))) } }
            }
            @for (index, step) in kernel.steps.iter().enumerate() {
                (one_step(kernel, index, step))
            }
        }
    }
}

/// A step with its transcript; it is open where its answer is not yes.
fn one_step(kernel: &KernelProof, index: usize, step: &ProofStep) -> Markup {
    let point = kernel.points.iter().find(|point| point.step == Some(index));
    let fault = point.and_then(|point| point.answer.fault());
    html! {
        details open[fault.is_some()] {
            summary {
                (mark(point)) (one_line(&step.what))
                @if let Some(Fault { word, .. }) = fault { ": " (one_line(word)) }
            }
            @if let Some(Fault { reason, .. }) = fault { p { (one_line(reason)) } }
            (transcript(step))
        }
    }
}

fn mark(point: Option<&Point>) -> Markup {
    let (class, mark) = match point.map(|point| &point.answer) {
        None => ("skipped", "·"),
        Some(Answered::Holds) => ("holds", "✓"),
        Some(answer @ (Answered::NotForKernel(_) | Answered::NoDevice(_))) => (answer.word(), "·"),
        Some(answer) => (answer.word(), "✗"),
    };
    html! { span class={ "mark " (class) } { (mark) } " " }
}

fn transcript(step: &ProofStep) -> Markup {
    let report = &step.report;
    html! {
        pre {
            span.command { "# " (lines(&report.command)) } "\n"
            (lines(report.text().trim_end()))
            @for message in report.kernel.iter().chain(&report.late) {
                "\n" span.kernel { "kernel: " (lines(&message.text)) }
            }
            @if report.status != 0 { "\n" span.fails { "exit status " (report.status) } }
        }
    }
}

/// Text of several lines, without what would command a reader.
fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// The place of a kernel in the page.
fn anchor(kernel: &KernelProof) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("kernel-{}", kernel.kernel.chars().map(plain).collect::<String>())
}
