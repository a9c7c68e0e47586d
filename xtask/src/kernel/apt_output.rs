//! The output of apt's tools about packages, read without asking anything.

/// The beginning of the name of a kernel's header package; its release follows.
pub(super) const HEADERS: &str = "linux-headers-";

/// A line of `apt-cache madison`: one version of one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackageVersion<'a> {
    pub(super) package: &'a str,
    pub(super) version: &'a str,
}

/// The versions that `apt-cache madison` lists for a suite, in its order: of each package the
/// newest first.
pub(super) fn madison<'a>(
    text: &'a str,
    suite: &str,
) -> impl Iterator<Item = PackageVersion<'a>> + use<'a> {
    let suite = format!("{suite}/");
    text.lines().filter_map(move |line| {
        let mut columns = line.split('|').map(str::trim);
        let (package, version, source) = (columns.next()?, columns.next()?, columns.next()?);
        // The source is `MIRROR SUITE/COMPONENT ARCHITECTURE Packages`.
        let listed = source.split(' ').any(|word| word.starts_with(&suite));
        listed.then_some(PackageVersion { package, version })
    })
}

/// The names of the packages that a record of `apt-cache show` depends on; of alternatives the
/// first.
pub(super) fn depends(record: &str) -> Vec<String> {
    let line = record.lines().find_map(|line| line.strip_prefix("Depends:")).unwrap_or_default();
    let name = |depends: &str| depends.split_whitespace().next().map(Into::into);
    line.split(',').filter_map(name).collect()
}

/// The header packages of single releases among the names of packages, without the flavors that no
/// VM needs.
pub(super) fn header_packages(names: &str) -> Vec<&str> {
    let mut packages: Vec<&str> = names
        .lines()
        .filter(|name| {
            let Some(release) = name.strip_prefix(HEADERS) else { return false };
            let plain = release.ends_with("-amd64")
                && !release.contains("-cloud-")
                && !release.contains("-rt-");
            plain && release.starts_with(|first: char| first.is_ascii_digit())
        })
        .collect();
    packages.sort_unstable();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADISON: &str = "\
 linux-headers-amd64 | 7.3.4-1~bpo13+1 | http://a.example/debian trixie-backports/main amd64 Packages
 linux-headers-amd64 | 6.12.117-1 | http://a.example/debian trixie/main amd64 Packages
 linux-headers-amd64 | 6.12.90-2 | http://a.example/trixie-backports trixie/main amd64 Packages
";

    #[test]
    fn versions_are_those_of_the_suite_and_the_newest_is_first() {
        let versions = |suite| Vec::from_iter(madison(MADISON, suite).map(|found| found.version));
        assert_eq!(versions("trixie-backports"), ["7.3.4-1~bpo13+1"]);
        assert_eq!(versions("trixie"), ["6.12.117-1", "6.12.90-2"]);
        assert_eq!(versions("sid"), [""; 0]);
        assert_eq!(madison(MADISON, "trixie").next().unwrap().package, "linux-headers-amd64");
        assert_eq!(madison("N: Unable to locate package x\n", "trixie").count(), 0);
    }

    #[test]
    fn a_record_names_what_it_depends_on() {
        let record = "Package: linux-headers-7.3.4+deb13-amd64\n\
            Pre-Depends: none\n\
            Depends: linux-headers-7.3.4+deb13-common (= 7.3.4-1~bpo13+1), \
            linux-kbuild-7.3.4+deb13, gcc-14 | gcc-15\n";
        let names = ["linux-headers-7.3.4+deb13-common", "linux-kbuild-7.3.4+deb13", "gcc-14"];
        assert_eq!(depends(record), names);
        assert_eq!(depends("Package: x\n"), [""; 0]);
    }

    #[test]
    fn header_packages_are_those_of_a_release_for_a_plain_machine() {
        let names = "linux-headers-amd64\nlinux-headers-7.3.4+deb13-rt-amd64\n\
            linux-headers-7.3.4+deb13-amd64\nlinux-headers-7.3.4+deb13-cloud-amd64\n\
            linux-headers-7.2.6+deb13-amd64\nlinux-headers-7.3.4+deb13-common\n";
        let plain = ["linux-headers-7.2.6+deb13-amd64", "linux-headers-7.3.4+deb13-amd64"];
        assert_eq!(header_packages(names), plain);
    }
}
