//! What a page comes to in a browser.

use std::{fs, time::Duration};

use xtask::host::{packages, run::Run};

use crate::harness::skip;

/// The title that a script gave a page in a window of this many pixels, with more options of the
/// browser. `page` is a file, whose folder the browser may write into.
pub(crate) fn title(page: &std::path::Path, script: &str, width: u16, more: &[&str]) -> String {
    // Either needs no screen.
    let browser = packages::find("chromium").or_else(|| packages::find("google-chrome"));
    let Some(browser) = browser else { skip("no chromium on this machine") };
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
