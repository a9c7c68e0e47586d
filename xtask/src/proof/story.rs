//! A story that was told in a guest, as a proof: so it has the same page.

use std::{path::PathBuf, time::Duration};

use super::{
    KernelProof, ProofStep, StackProof,
    expectations::Expectations,
    held,
    in_guest::failed,
    point::{Answered, Point, Subject},
    prediction::{self, Prediction},
};
use crate::{
    host::cache::Cache,
    kernel::Kernel,
    problem::{Problem, Result},
};

/// A story of a stack, scene by scene, and what ended it before its time.
#[derive(Debug)]
pub struct Story<'a> {
    /// The kernel that told it.
    pub kernel: &'a Kernel,
    /// Where the stack is.
    pub stack: String,
    /// Its modules, built.
    pub modules: &'a [PathBuf],
    /// The scenes that were played.
    pub scenes: Vec<ProofStep>,
    /// The difference from the story: the last scene, or the guest's end.
    pub ended_by: Option<&'a Problem>,
    /// The time that all of it took.
    pub time: Duration,
}

impl Story<'_> {
    /// The story as a proof: the stack was built, each module would load, each scene ran.
    ///
    /// # Errors
    /// A module or the facts of the kernel cannot be read.
    pub fn proof(self, cache: &Cache) -> Result<StackProof> {
        let none = Expectations::default();
        let prediction = prediction::predict(cache, self.kernel, self.modules, &none)?;
        let mut points = vec![Point::new(Subject::Build, Answered::Holds)];
        points.extend(held::checks(&prediction));
        let end = || self.ended_by.map_or(Answered::Holds, failed);
        for scene in 0..self.scenes.len() {
            let last = scene + 1 == self.scenes.len();
            let answer = if last { end() } else { Answered::Holds };
            points.push(Point { subject: Subject::Run, answer, step: Some(scene) });
        }
        points.push(Point::new(Subject::Log, end()));
        let shows = |scene: &&ProofStep| scene.report.command.contains("/proc/kallsyms");
        let kallsyms = self.scenes.iter().filter(shows).map(|scene| scene.report.text());
        let kallsyms =
            kallsyms.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let Prediction { modules, picture, .. } = prediction;
        let kernel = KernelProof {
            kernel: self.kernel.name.to_string(),
            release: Some(self.kernel.release.clone()),
            points,
            modules,
            kallsyms: kallsyms.collect(),
            picture,
            time: self.time,
            steps: self.scenes,
            ..KernelProof::default()
        };
        let kernels = vec![kernel];
        Ok(StackProof { stack: self.stack, kernels, ..StackProof::default() })
    }
}
