//! A kernel that the archive offers, before anything of it is here.

/// A kernel that the archive offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The kernel's release, for example `7.3.4+deb13-amd64`.
    pub release: String,
    /// The version of its packages, for example `7.3.4-1~bpo13+1`.
    pub version: String,
}

impl Candidate {
    /// The release up to its local part: `7.3.4` of `7.3.4+deb13-amd64`.
    pub fn upstream(&self) -> &str {
        let end = self.release.find(|c: char| !c.is_ascii_digit() && c != '.');
        &self.release[..end.unwrap_or(self.release.len())]
    }

    /// The rest of it: `+deb13-amd64`.
    pub fn local(&self) -> &str {
        &self.release[self.upstream().len()..]
    }

    /// The package with the source it was built from: `linux-source-7.3`.
    pub fn source_package(&self) -> String {
        let series: Vec<&str> = self.upstream().splitn(3, '.').take(2).collect();
        format!("linux-source-{}", series.join("."))
    }
}
