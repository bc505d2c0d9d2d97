//! From files to readers: plain, gzip, zip, folders.

mod archive;
mod choose;
mod detect;
mod folder;
pub(crate) mod guard;
mod importer;
mod meter;
mod open;

pub use importer::Importer;
pub(crate) use meter::newlines;

/// The formats that have a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Apple Health's `export.xml`.
    AppleHealth,
    /// Comma-separated values of any of the shapes that are detected.
    Csv,
    /// Fitbit's `steps-YYYY-MM-DD.json`.
    FitbitJson,
}

impl Format {
    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Format::AppleHealth => "Apple Health XML",
            Format::Csv => "CSV",
            Format::FitbitJson => "Fitbit JSON",
        }
    }
}

/// Hears how far an import is.
pub trait Progress {
    /// A file begins; its size on disk in bytes where known.
    fn file(&mut self, name: &str, bytes: Option<u64>);
    /// So many more bytes of it were read.
    fn advance(&mut self, bytes: u64);
}
