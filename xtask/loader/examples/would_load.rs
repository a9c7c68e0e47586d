//! Would these modules load, one after the other, on a kernel of this release, configuration and
//! Module.symvers? `cargo run -p loader --example would_load RELEASE CONFIG SYMVERS FILE.ko…`

use std::{env, error::Error, fs};

use loader::{
    kernel_facts::KernelFacts, kernel_model::KernelModel, load_info::LoadRequest, verdict::Answer,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [release, config, symvers, files @ ..] = args.as_slice() else {
        return Err("usage: would_load RELEASE CONFIG SYMVERS FILE.ko…".into());
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
