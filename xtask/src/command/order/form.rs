//! The documented form of `order --json`.

use ko::text::Text;
use serde::Serialize;
use stack::{
    graph::Graph,
    load_order::{LoadOrder, LoadStep, MissingDependency, OrderReason, exported_twice},
};

#[derive(Serialize)]
pub(super) struct OrderForm<'a> {
    format: &'static str,
    steps: Vec<StepForm<'a>>,
    missing: Vec<MissingForm<'a>>,
    exported_twice: Vec<TwiceForm<'a>>,
}

#[derive(Serialize)]
struct StepForm<'a> {
    module: &'a str,
    path: &'a str,
    install: Option<&'a str>,
    options: &'a str,
    reasons: Vec<ReasonForm<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum ReasonForm<'a> {
    Symbols { exporter: &'a str, symbols: Vec<String> },
    SoftBefore { wanted: String, modules: &'a [&'a str] },
    SoftAfter { wanted: String, modules: &'a [&'a str] },
    Weak { wanted: String, modules: &'a [&'a str] },
}

#[derive(Serialize)]
struct MissingForm<'a> {
    module: &'a str,
    symbol: Option<String>,
    provider: Option<&'a str>,
    weak: bool,
}

#[derive(Serialize)]
struct TwiceForm<'a> {
    symbol: String,
    modules: Vec<&'a str>,
}

impl<'a> OrderForm<'a> {
    pub(super) fn new(graph: &'a Graph, order: &'a LoadOrder<'a>) -> Self {
        let twice = exported_twice(graph).into_iter();
        Self {
            format: "order/1",
            steps: order.steps.iter().map(StepForm::from).collect(),
            missing: order.missing.iter().map(MissingForm::from).collect(),
            exported_twice: twice
                .map(|(symbol, modules)| TwiceForm { symbol: lossy(symbol), modules })
                .collect(),
        }
    }
}

fn lossy(text: Text<'_>) -> String {
    text.lossy().into_owned()
}

impl<'a> From<&'a LoadStep<'a>> for StepForm<'a> {
    fn from(step: &'a LoadStep<'a>) -> Self {
        let reasons = step.reasons.iter().map(ReasonForm::from).collect();
        let LoadStep { module, path, install, options, .. } = step;
        Self { module, path, install: *install, options, reasons }
    }
}

impl<'a> From<&'a OrderReason<'a>> for ReasonForm<'a> {
    fn from(reason: &'a OrderReason<'a>) -> Self {
        match reason {
            OrderReason::Symbols { exporter, symbols } => {
                Self::Symbols { exporter, symbols: symbols.iter().copied().map(lossy).collect() }
            }
            OrderReason::SoftBefore { wanted, modules } => {
                Self::SoftBefore { wanted: lossy(*wanted), modules }
            }
            OrderReason::SoftAfter { wanted, modules } => {
                Self::SoftAfter { wanted: lossy(*wanted), modules }
            }
            OrderReason::Weak { wanted, modules } => Self::Weak { wanted: lossy(*wanted), modules },
        }
    }
}

impl<'a> From<&'a MissingDependency<'a>> for MissingForm<'a> {
    fn from(missing: &'a MissingDependency<'a>) -> Self {
        let MissingDependency { module, symbol, provider, weak } = missing;
        Self { module, symbol: symbol.map(lossy), provider: provider.as_deref(), weak: *weak }
    }
}
