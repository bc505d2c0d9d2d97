//! A scenario: a file, and steps of the library's callers on it.

use manbo::{Options, Result, StepBook, Store};
use manbo_sim::vfs::Disk;

use super::state::PATH;

/// What the callers of a scenario hold.
#[derive(Default)]
pub(crate) struct Hands {
    /// The app's, in process 0.
    pub(crate) book: Option<StepBook>,
    /// A server's, or the app's for what a book does not offer, in process 0.
    pub(crate) store: Option<Store>,
    /// The widget's, in process 1.
    pub(crate) widget: Option<StepBook>,
}

impl Hands {
    pub(crate) fn book(&mut self) -> &mut StepBook {
        self.book.as_mut().expect("a step before has opened it")
    }

    pub(crate) fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("a step before has opened it")
    }

    pub(crate) fn widget(&mut self) -> &mut StepBook {
        self.widget.as_mut().expect("a step before has opened it")
    }

    /// Lets go of the file.
    pub(crate) fn suspend(&mut self) -> Result<()> {
        let books = [&mut self.book, &mut self.widget].into_iter().flatten();
        books.map(StepBook::suspend).collect::<Result<Vec<()>>>()?;
        self.store.as_mut().map_or(Ok(()), Store::suspend)
    }
}

/// One call of the library, or a few of which at most one writes.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) process: usize,
    /// Whether a process that starts anew does it again before it goes on.
    pub(crate) opens: bool,
    pub(crate) run: fn(&mut Hands) -> Result<()>,
}

impl Step {
    pub(crate) fn of(name: &'static str, run: fn(&mut Hands) -> Result<()>) -> Step {
        Step { name, process: 0, opens: false, run }
    }

    pub(crate) fn opening(name: &'static str, run: fn(&mut Hands) -> Result<()>) -> Step {
        Step { opens: true, ..Step::of(name, run) }
    }

    pub(crate) fn widget(self) -> Step {
        Step { process: 1, ..self }
    }
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) options: Options,
    /// Makes the file as it is before the first step.
    pub(crate) setup: fn(&Disk),
    pub(crate) steps: Vec<Step>,
}

/// Opens a book in a setup.
pub(crate) fn open(options: &Options) -> StepBook {
    StepBook::open(PATH, options).unwrap()
}
