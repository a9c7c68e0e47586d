//! The look of a page in a browser.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use xtask::host::{
    cache::Cache,
    packages::{self, Needed},
    run::Run,
};

use crate::harness::skip;

/// A browser that needs no screen. As root it is installed.
static BROWSER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    if let Some(browser) = packages::find("google-chrome") {
        return Some(browser);
    }
    let chromium = Needed { command: "chromium", package: "chromium", purpose: "shows the pages" };
    packages::require(&Cache::open().unwrap(), &[chromium]).ok()?;
    packages::find(chromium.command)
});

/// The title that a script gave a page in a window of this many pixels, with more options of the
/// browser. `page` is a file, whose folder the browser may write into.
pub(crate) fn title(page: &Path, script: &str, width: u16, more: &[&str]) -> String {
    let Some(browser) = &*BROWSER else { skip("no browser is here, and none can be installed") };
    let html = fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scripted = page.with_file_name("scripted.html");
    fs::write(&scripted, html.replace("</body>", &format!("<script>{script}</script></body>")))
        .unwrap();
    let run = Run::new(browser).quiet().deadline(Duration::from_secs(120));
    let run = run.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]).args(more);
    let run = run.arg(format!("--user-data-dir={}", folder.path().display()));
    let run = run.arg(format!("--window-size={width},900"));
    let said = run.arg(format!("file://{}", scripted.display())).stdout().unwrap();
    let (_, title) = said.split_once("<title>").unwrap();
    title.split_once("</title>").unwrap().0.into()
}
