//! In which order two modules load, and why; then the line of `modules.dep` for each.
//!
//! `cargo run -p stack --example load_order`

use stack::{
    dependency_info::DependencyInfo,
    graph::{Graph, ScannedModule},
    load_order::{OrderReason, Request, load_order},
    modprobe::Modprobe,
    modules_dep,
};

const EXPORTER: &[u8] = include_bytes!("../../tests/fixtures/exporter-7.3.ko");
const IMPORTER: &[u8] = include_bytes!("../../tests/fixtures/importer-7.3.ko");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scan =
        |name, file| DependencyInfo::read(file).map(|info| ScannedModule::without_file(name, info));
    let graph = Graph::new(vec![scan("importer", IMPORTER)?, scan("exporter", EXPORTER)?]);
    let modprobe = Modprobe::unconfigured(&graph).map_err(|cycles| format!("{cycles:?}"))?;
    let order = load_order(&modprobe, &[Request::Module(0)], None);
    for step in &order.steps {
        println!("{}", step.module);
        for reason in &step.reasons {
            if let OrderReason::Symbols { exporter, symbols } = reason {
                println!("    uses {symbols:?} of {exporter}");
            }
        }
    }
    print!("{}", modules_dep::write(&graph).map_err(|cycles| format!("{cycles:?}"))?);
    Ok(())
}
