//! The kmod of the private root: what it says of itself.

use std::{fs, path::Path, sync::OnceLock};

use ko::kmod_facts::KmodFacts;

use super::{
    cache::Cache,
    open,
    root::{Root, TRIXIE},
};

/// Returns the facts of the private root's kmod, asked once for each root; without a root, those of
/// the one that would be made.
pub fn kmod_facts() -> KmodFacts {
    static FACTS: OnceLock<KmodFacts> = OnceLock::new();
    *FACTS.get_or_init(|| {
        let cache = Cache::open().ok();
        cache.and_then(|cache| remembered_or_asked(&cache)).unwrap_or_default()
    })
}

fn remembered_or_asked(cache: &Cache) -> Option<KmodFacts> {
    let remembered = cache.path(format!("facts/{}.kmod", Root::name(TRIXIE).replace('/', "-")));
    let known = open::read_text(&remembered).ok().and_then(|text| KmodFacts::parse(&text));
    known.or_else(|| ask(cache, &remembered))
}

fn ask(cache: &Cache, remembered: &Path) -> Option<KmodFacts> {
    let root = Root::present(cache, TRIXIE)?;
    let text = root.sandbox().run("kmod").arg("--version").quiet().stdout().ok()?;
    let facts = KmodFacts::parse(&text)?;
    // An answer that cannot be remembered is asked for again.
    let _ = fs::create_dir_all(remembered.parent()?).and_then(|()| fs::write(remembered, text));
    Some(facts)
}
