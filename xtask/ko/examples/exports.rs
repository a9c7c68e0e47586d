//! The exports and imports of a module: `cargo run -p ko --example exports [FILE.ko]`.

use std::{env, error::Error, fs};

use ko::module::Module;

const EXPORTER: &[u8] = include_bytes!("../../tests/fixtures/exporter-7.3.ko");

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = match env::args().nth(1) {
        Some(path) => fs::read(path)?,
        None => EXPORTER.to_vec(),
    };
    let module = Module::read(&bytes)?;
    println!("{}", module.name().unwrap_or_default());
    for export in module.exports.iter() {
        println!("  exports {}", export?.symbol.0);
    }
    for import in module.imports()? {
        println!("  needs   {}", import.symbol.0);
    }
    Ok(())
}
