//! The forms of `kernels`, from a list that is made by hand: the archive moves.

use std::path::Path;

use xtask::{
    command::kernels::form,
    kernel::{
        KernelName,
        disk::Item,
        listing::{Known, Listing},
        recipe::Recipe,
        table::{LAB, STABLE, STOCK},
    },
    problem::Problem,
};

fn known(recipe: &'static Recipe, named: Option<&str>, release: &str, offered: bool) -> Known {
    Known {
        name: KernelName::Listed(recipe, named.map(Into::into)),
        release: release.into(),
        version: format!("{release}-1"),
        suite: recipe.suite,
        rust: recipe.rust,
        offered: Some(offered),
        entry: format!("kernels/{release}"),
        prepared: offered,
    }
}

#[test]
fn kernels_are_shown_as_they_were() {
    let listing = Listing {
        kernels: vec![
            known(STOCK, None, "7.3.4+deb13-amd64", true),
            known(STOCK, Some("7.2.6+deb13-amd64"), "7.2.6+deb13-amd64", true),
            known(LAB, None, "7.3.4-lab", true),
            known(STABLE, None, "6.12.117+deb13-amd64", true),
            known(STOCK, Some("7.2.1+deb13-amd64"), "7.2.1+deb13-amd64", false),
        ],
        unknown: vec![("sid", Problem::host("apt-get ended with status 100"))],
    };
    let item = |entry: &str, mebibytes: u64, spare| Item {
        entry: entry.into(),
        bytes: mebibytes << 20,
        spare,
    };
    let items = [
        item("kernels/7.3.4+deb13-amd64", 304, false),
        item("kernels/7.3.4-lab", 862, false),
        item("kernels/7.2.1+deb13-amd64", 300, false),
        item("kernels/7.1.1+deb13-amd64", 290, true),
        item("kernels/modules-7.3.4+deb13-amd64", 115, false),
        item("roots/trixie-1", 1741, false),
        item("guest/base-1", 17, false),
        item("guest/base-2", 16, false),
        item("guest/base-3", 16, true),
        item("logs", 0, false),
    ];
    let mut json = serde_json::to_string_pretty(&form::json(&listing, &items)).unwrap();
    json.push('\n');
    super::hold("kernels", "json", json);
    let text = form::text(&listing, &items, Path::new("/home/a/.cache/symstack"));
    let matrix = form::github_matrix(&listing.kernels);
    let both = format!(
        "$ cargo xtask kernels\n{text}\n$ cargo xtask kernels --format github-matrix\n{matrix}\n"
    );
    super::hold("kernels", "txt", both);
}
