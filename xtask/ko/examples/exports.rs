//! What a module exports and needs: `cargo run -p ko --example exports FILE.ko`.

use std::{env, error::Error, fs};

use ko::module::Module;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: exports FILE.ko")?;
    let bytes = fs::read(path)?;
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
