//! The replicas of a vector: each a book on a file of its own, all in one directory that vanishes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use manbo::{CellView, Day, Digest, Durability, Fact, Options, Result, Rules, Source, StepBook};

/// A book with its file.
struct Replica {
    file: PathBuf,
    /// `None` while it is closed.
    book: Option<StepBook>,
}

/// The replicas by name. One begins empty when a step first names it.
pub(crate) struct Replicas {
    options: Options,
    dir: tempfile::TempDir,
    open: BTreeMap<String, Replica>,
}

/// Everything of a replica that a refused step must leave as it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    digest: Digest,
    facts: Vec<Fact>,
    pending: Vec<Fact>,
    pending_count: usize,
    reread: Vec<(Day, Source)>,
    cells: Vec<CellView>,
}

impl Replicas {
    pub(crate) fn new(rules: Rules) -> std::io::Result<Replicas> {
        // What is tested are the rules; that a success survives a power cut has tests of its own.
        let options = Options::new().rules(rules).durability(Durability::Normal);
        Ok(Replicas { options, dir: tempfile::tempdir()?, open: BTreeMap::new() })
    }

    pub(crate) fn book(&mut self, name: &str) -> Result<&mut StepBook> {
        // Numbered: a replica's name need not be fit for a file.
        let file = self.dir.path().join(format!("replica-{}.db", self.open.len()));
        let new = Replica { file, book: None };
        let Replica { file, book } = self.open.entry(name.to_owned()).or_insert(new);
        let open = match book.take() {
            Some(open) => open,
            None => StepBook::open(&*file, &self.options)?,
        };
        Ok(book.insert(open))
    }

    /// Closes a book and opens its file again.
    pub(crate) fn reopen(&mut self, name: &str) -> Result<()> {
        if let Some(replica) = self.open.get_mut(name) {
            replica.book = None;
        }
        self.book(name).map(|_| ())
    }

    /// Closes every book; the next use of each opens its file again.
    pub(crate) fn close_all(&mut self) {
        self.open.values_mut().for_each(|replica| replica.book = None);
    }

    pub(crate) fn images(&mut self) -> Result<BTreeMap<String, Image>> {
        let names: Vec<String> = self.open.keys().cloned().collect();
        names.into_iter().map(|name| Ok((name.clone(), Image::of(self.book(&name)?)?))).collect()
    }
}

impl Image {
    fn of(book: &mut StepBook) -> Result<Image> {
        Ok(Image {
            digest: book.digest()?,
            facts: book.ledger()?.facts(),
            pending: book.pending()?,
            pending_count: book.pending_count()?,
            reread: book.to_reread()?,
            cells: book.ledger()?.cells(),
        })
    }

    /// The first thing that differs, if any.
    pub(crate) fn difference(&self, after: &Image) -> Option<&'static str> {
        let Image { digest, facts, pending, pending_count, reread, cells } = self;
        let same = [
            ("digest", *digest == after.digest),
            ("facts", *facts == after.facts),
            ("pending facts", *pending == after.pending && *pending_count == after.pending_count),
            ("re-read list", *reread == after.reread),
            ("cells", *cells == after.cells),
        ];
        same.iter().find(|(_, same)| !same).map(|(what, _)| *what)
    }
}
