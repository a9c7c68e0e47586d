//! Would these modules load, one after the other, on this kernel?
//! `cargo run -p loader --example would_load [RELEASE CONFIG SYMVERS FILE.ko…]`

use std::{env, error::Error, fs};

use loader::{
    kernel_facts::KernelFacts, kernel_model::KernelModel, load_info::LoadRequest, verdict::Answer,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    if args.is_empty() {
        // The importer alone, and then after the module that exports its symbols.
        let paths = ["kernel-7.3/.config", "kernel-7.3/Module.symvers", "importer-7.3.ko"];
        let more = ["exporter-7.3.ko", "importer-7.3.ko"];
        let paths = paths.iter().chain(&more).map(|path| format!("{FIXTURES}/{path}"));
        let release = fs::read_to_string(format!("{FIXTURES}/kernel-7.3/kernel.release"))?;
        args = std::iter::once(release.trim().to_owned()).chain(paths).collect();
    }
    let [release, config, symvers, files @ ..] = args.as_slice() else {
        return Err("usage: would_load [RELEASE CONFIG SYMVERS FILE.ko…]".into());
    };
    let kernel = KernelFacts::new(release, &fs::read_to_string(config)?)?;
    let kernel = kernel.with_symvers(&fs::read(symvers)?)?;
    let mut model = KernelModel::new(&kernel);
    for path in files {
        let file = fs::read(path)?;
        let verdict = model.finit_module(LoadRequest { file: &file, ..LoadRequest::default() });
        match &verdict.answer {
            Answer::Loads => println!("{path}: would load"),
            Answer::Refused(errno) => println!("{path}: refused with {errno}"),
            Answer::Unknown(reason) => println!("{path}: cannot be decided offline: {reason}"),
        }
        verdict.messages.iter().for_each(|line| println!("  {line}"));
    }
    Ok(())
}
