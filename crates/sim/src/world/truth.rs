//! What may be true of one book: one state, or several after a call whose end nobody saw.

use std::collections::BTreeSet;

use super::expect::Expect;
use super::{Broken, Invariant};
use crate::doors::{Done, Failed};
use crate::oracle::{Refused, Replica};

/// The most states that are followed at once: five calls of unknown end in a row, twice over.
const STATES_MAX: usize = 64;

/// One state that a book may be in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Truth {
    /// The facts, and what is known about them.
    pub replica: Replica,
    /// Delivery.
    pub expect: Expect,
    /// Cells and attendance days whose value stays on this device by somebody's will.
    pub kept: BTreeSet<(i32, Option<u8>)>,
}

/// Why a step cannot have happened in a state.
#[derive(Debug)]
pub(super) enum Unlike {
    /// The rules refuse it.
    Refused(Refused),
    /// An invariant says otherwise.
    Broken(Broken),
}

impl From<Refused> for Unlike {
    fn from(refused: Refused) -> Unlike {
        Unlike::Refused(refused)
    }
}

impl From<Broken> for Unlike {
    fn from(broken: Broken) -> Unlike {
        Unlike::Broken(broken)
    }
}

/// Every state that a book may be in.
#[derive(Debug, Clone)]
pub(super) struct Truths {
    /// The states.
    pub states: Vec<Truth>,
    /// States that a look has excluded but a crash may bring back: what was seen was not flushed, or a commit
    /// that failed stands in the log after all.
    pub unflushed: Vec<Truth>,
    /// Whether facts may have changed since the derived numbers were compared.
    pub stale: bool,
}

impl Default for Truths {
    fn default() -> Truths {
        Truths { states: vec![Truth::default()], unflushed: Vec::new(), stale: true }
    }
}

impl Truths {
    /// The state that is most likely.
    pub(super) fn first(&self) -> &Truth {
        // There is always one: a step that leaves none fails the world.
        &self.states[0]
    }

    /// Follows a call in every state, and drops the states in which it cannot have gone as it did.
    ///
    /// # Errors
    /// What the first state has against it, where no state is left.
    pub(super) fn follow<T>(
        &mut self,
        done: &Done<T>,
        mut step: impl FnMut(&mut Truth, Option<&T>) -> Result<(), Unlike>,
    ) -> Result<(), Broken> {
        let mut against = None;
        match done {
            Ok(said) => {
                let before =
                    (self.states.len() > 1 || !self.unflushed.is_empty()).then(|| self.states.clone());
                let mut fitted = Vec::with_capacity(self.states.len());
                self.states.retain_mut(|truth| {
                    let fits =
                        step(truth, Some(said)).map_err(|unlike| against.get_or_insert(unlike)).is_ok();
                    fitted.push(fits);
                    fits
                });
                if let Some(before) = before {
                    self.settle(before, &fitted);
                }
            }
            Err(Failed::Refused(code)) => self.states.retain_mut(|truth| match step(truth, None) {
                Err(Unlike::Refused(refused)) if refused.code() == code.as_str() => true,
                Err(unlike) => {
                    against.get_or_insert(unlike);
                    false
                }
                Ok(()) => {
                    let why = format!("refused as {code}, and the rules allow it");
                    against.get_or_insert(Unlike::Broken(Broken { invariant: Invariant::I1, why }));
                    false
                }
            }),
            Err(Failed::Storage(_) | Failed::Crashed) => self.branch(|truth| step(truth, None).is_ok()),
        }
        if self.states.is_empty() { Err(told(against)) } else { Ok(()) }
    }

    /// After a call that went well in some states: what it wrote is flushed, and all that was written before it.
    /// One that wrote nothing only excluded the states that do not fit, and a crash may bring those back.
    fn settle(&mut self, before: Vec<Truth>, fitted: &[bool]) {
        let same = |(a, b): (&Truth, &Truth)| a.replica == b.replica && a.expect == b.expect;
        let (kept, excluded): (Vec<_>, Vec<_>) = before.into_iter().zip(fitted).partition(|(_, fits)| **fits);
        if kept.iter().map(|(truth, _)| truth).zip(&self.states).all(same) {
            self.unflushed.extend(excluded.into_iter().map(|(truth, _)| truth));
        } else {
            self.unflushed.clear();
        }
    }

    /// Adds what each state becomes, where it can become it.
    fn branch(&mut self, mut step: impl FnMut(&mut Truth) -> bool) {
        let mut after = self.states.clone();
        after.retain_mut(&mut step);
        for truth in after {
            if !self.states.contains(&truth) && self.states.len() < STATES_MAX {
                self.states.push(truth);
            }
        }
    }

    /// Keeps the states that fit what was seen. What is read back need not be flushed: where a crash may
    /// take it (`may_fade`), the states that were excluded are remembered until the next write.
    ///
    /// # Errors
    /// What the first state has against it, where none fits.
    pub(super) fn see(
        &mut self,
        may_fade: bool,
        mut fits: impl FnMut(&mut Truth) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let [truth] = &mut self.states[..] else {
            let mut against = None;
            let mut kept = Vec::new();
            for mut truth in std::mem::take(&mut self.states) {
                let as_it_was = truth.clone();
                match fits(&mut truth) {
                    Ok(()) if !kept.contains(&truth) => kept.push(truth),
                    Ok(()) => {}
                    Err(broken) => {
                        against.get_or_insert(Unlike::Broken(broken));
                        if may_fade {
                            self.unflushed.push(as_it_was);
                        }
                    }
                }
            }
            self.states = kept;
            return if self.states.is_empty() { Err(told(against)) } else { Ok(()) };
        };
        fits(truth)
    }

    /// A process ended: what was seen and not flushed may be gone with it, and what failed may be there.
    pub(super) fn crash(&mut self) {
        self.stale = true;
        let unflushed = std::mem::take(&mut self.unflushed);
        for truth in unflushed {
            if !self.states.contains(&truth) {
                self.states.push(truth);
            }
        }
    }
}

fn told(against: Option<Unlike>) -> Broken {
    match against {
        Some(Unlike::Broken(broken)) => broken,
        Some(Unlike::Refused(refused)) => {
            let why = format!("what the rules refuse as {} was taken", refused.code());
            Broken { invariant: Invariant::I2, why }
        }
        None => Broken { invariant: Invariant::I1, why: "no state is possible".to_owned() },
    }
}
