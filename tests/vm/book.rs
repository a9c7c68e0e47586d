//! The book in a browser: it renders, its links lead somewhere, and its transcripts can be stepped
//! through.

use std::{fs, path::Path};

use xtask::{
    build::project,
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
    },
    kernel::KernelName,
};

use crate::{
    browser,
    harness::{Needs, Test},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            the_book_renders_and_all_its_links_lead_somewhere,
            a_transcript_can_be_stepped_through,
        ],
    )
}

/// The book as Debian's mdbook makes it.
fn rendered(book: &Path) {
    let root = Root::obtain(&Cache::open().unwrap(), TRIXIE).unwrap();
    fs::create_dir_all(book).unwrap();
    let sandbox = root.sandbox().read_only(&project().join("docs"), "/tmp/docs");
    let mdbook = sandbox.writable(book, "/tmp/book").run("mdbook");
    let outcome = mdbook.args(["build", "-d", "/tmp/book", "/tmp/docs"]).output().unwrap();
    assert!(outcome.status.success(), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("WARN"), "{}", outcome.stderr);
}

fn the_book_renders_and_all_its_links_lead_somewhere() {
    let book = project().join("target/book");
    rendered(&book);
    let (mut links, mut recorded) = (0, 0);
    for page in book.read_dir().unwrap().map(|page| page.unwrap().path()) {
        if page.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let html = fs::read_to_string(&page).unwrap();
        // The blocks that the script steps through; the page with all pages, for printing, has them
        // as well.
        recorded += html.matches("<!-- steps: {\"uses\": {").count();
        for link in html.split(" href=\"").skip(1).chain(html.split(" src=\"").skip(1)) {
            let target = link.split('"').next().unwrap().split('#').next().unwrap();
            // Debian's mdbook names these of its own, and comes without them (0.4.48).
            let outside =
                target.contains("://") || ["", "book.js", "fonts/fonts.css"].contains(&target);
            assert!(outside || book.join(target).exists(), "{target:?} in {}", page.display());
            links += 1;
        }
    }
    assert!(links > 100);
    assert!(recorded >= 4, "{recorded} recordings");
}

/// The acts of a reader: the button of the first stack is pressed until it is gray.
const READER: &str = "
const stack = document.querySelector(\".stack\");
const [start, , next] = stack.querySelectorAll(\"button\");
const boxes = () => [...stack.querySelectorAll(\".module .name\")].map((name) => name.textContent);
const seen = () => `[${boxes()}] ${stack.querySelector(\"figcaption\").textContent}`;
start.click();
const all = [seen()];
while (!next.disabled) { next.click(); all.push(seen()); }
document.title = all.join(\" / \");
";

fn a_transcript_can_be_stepped_through() {
    let folder = tempfile::tempdir().unwrap();
    rendered(folder.path());
    let title = browser::title(&folder.path().join("07-stacking.html"), READER, 1300, &[]);
    assert_eq!(
        title.split(" / ").collect::<Vec<_>>(),
        [
            "[] Before the first command.",
            "[] Nothing is loaded.",
            "[greeter_c] Loaded: greeter_c.",
            "[visitor_c,greeter_c] Loaded: visitor_c. visitor_c uses greeter_c_greeted and \
             greeter_c_hello of greeter_c.",
            "[visitor_c,greeter_c] The stack is as before.",
            "[visitor_c,greeter_c] The stack is as before.",
            "[greeter_c,visitor_c] Removed: visitor_c.",
            "[greeter_c] Removed: greeter_c.",
        ]
    );
}
