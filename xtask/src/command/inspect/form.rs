//! The documented form of `inspect --json`.

use std::{
    cell::{Cell, RefCell},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use ko::{module::Facts, text::Text};
use loader::kernel_facts::KernelFacts;
use serde::{Serialize, Serializer};

use super::{
    part::facts,
    verification::{Answer, Verification},
};
use crate::tree::section_reader::{FileError, ModuleBuffer};

/// The whole answer. Each file is read when its turn comes to be written: the forms of a whole
/// tree of modules would take a hundred megabytes.
#[derive(Serialize)]
pub(super) struct InspectForm<'a> {
    format: &'static str,
    modules: Files<'a>,
}

struct Files<'a> {
    files: &'a [PathBuf],
    kernel: Option<&'a KernelFacts>,
    buffer: RefCell<ModuleBuffer>,
    status: &'a Cell<u8>,
}

impl<'a> InspectForm<'a> {
    /// The form of these files, their signatures verified for a kernel; `status` is raised when
    /// one of them cannot be read or is no module.
    pub(super) fn new(
        files: &'a [PathBuf],
        kernel: Option<&'a KernelFacts>,
        status: &'a Cell<u8>,
    ) -> Self {
        let buffer = RefCell::default();
        Self { format: "inspect/2", modules: Files { files, kernel, buffer, status } }
    }
}

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.files.iter().map(|file| OneFile { file, all: self }))
    }
}

struct OneFile<'a> {
    file: &'a Path,
    all: &'a Files<'a>,
}

impl Serialize for OneFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = Text(self.file.as_os_str().as_bytes());
        let mut buffer = self.all.buffer.borrow_mut();
        let read = buffer.read_beside_kmod(self.file).and_then(|(bytes, refusal)| {
            let verification = self.all.kernel.map(|kernel| Verification::of(bytes, kernel));
            Ok((facts(bytes, refusal.as_ref())?, refusal, verification))
        });
        match read {
            Ok((facts, refusal, verification)) => FileForm {
                file,
                facts,
                kmod: refusal.map(|refusal| refusal.to_string()),
                verification: verification.as_ref().map(VerificationForm::from),
            }
            .serialize(serializer),
            Err(error) => {
                tell(self.file, &error, self.all.status);
                ErrorForm { file, error: error.to_string() }.serialize(serializer)
            }
        }
    }
}

/// Tells an error of a file; the gravest decides over the exit status.
pub(super) fn tell(file: &Path, error: &FileError, status: &Cell<u8>) {
    let problem = error.problem(file);
    errln!("error: {problem}");
    status.set(status.get().max(problem.kind.status()));
}

#[derive(Serialize)]
struct ErrorForm<'a> {
    file: Text<'a>,
    error: String,
}

#[derive(Serialize)]
struct FileForm<'a> {
    file: Text<'a>,
    #[serde(flatten)]
    facts: Facts<'a>,
    kmod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<VerificationForm<'a>>,
}

#[derive(Serialize)]
struct VerificationForm<'a> {
    release: &'a str,
    verifies: &'static str,
    by: Option<&'a str>,
    keyring: Option<String>,
    errno: Option<String>,
    reason: String,
    keyrings: &'a [String],
}

impl<'a> From<&'a Verification> for VerificationForm<'a> {
    fn from(verification: &'a Verification) -> Self {
        let Verification { release, answer, keyrings } = verification;
        let (by, keyring) = match answer {
            Answer::Good { subject, keyring } => (Some(&**subject), Some(keyring.to_string())),
            _ => (None, None),
        };
        let errno = match answer {
            Answer::Bad(errno) => Some(errno.to_string()),
            _ => None,
        };
        let (verifies, reason) = (answer.word(), answer.to_string());
        Self { release, verifies, by, keyring, errno, reason, keyrings }
    }
}
