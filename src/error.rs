//! What can go wrong, grouped by what an app does about it.

use crate::domain::code::{Code, Refusal};

/// An error. Its text names the field, the limit and the rule, never a person's counts, ids or tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The rules refuse the input: fix it and call again. Nothing was stored.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The book was suspended or closed: call `resume`, or open it again.
    #[error("the book is suspended: call resume() first")]
    Closed,
    /// The file cannot be reached now (locked phone, permission, failing disk): call again later.
    #[error("the file cannot be reached now; try again when the device is unlocked: {0}")]
    Unreachable(#[source] Cause),
    /// The disk is full: reading goes on, writing works again when there is room.
    #[error("the disk is full; free some space and try again")]
    Full(#[source] Cause),
    /// Another process held the file longer than the time-out: call again.
    #[error("another process holds the file; try again")]
    Busy(#[source] Cause),
    /// The file or its folder is read-only.
    #[error("the file or its folder is read-only")]
    ReadOnly(#[source] Cause),
    /// The file belongs to another program; its bytes were not touched.
    #[error("the file is not a manbo ledger; its bytes were not touched")]
    Foreign,
    /// The file was written by a newer version of this library; its bytes were not touched.
    #[error(
        "the file has schema {found}, this version knows {known}: update the app; the file was not touched"
    )]
    NewerSchema {
        /// The schema of the file.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// The file is damaged and could not be moved aside; nothing was deleted.
    #[error("the file is damaged: {0}")]
    Corrupt(#[source] Cause),
    /// A fault of this library.
    #[error("internal fault: {0}")]
    Internal(#[source] Cause),
}

/// The cause behind an [`Error`], for logs.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What a failed file operation means for an app. The kind only: the error's text may hold a path.
    pub(crate) fn of_io(error: &std::io::Error) -> Error {
        let cause = error.kind().to_string().into();
        match error.kind() {
            std::io::ErrorKind::StorageFull => Error::Full(cause),
            std::io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(cause),
            _ => Error::Unreachable(cause),
        }
    }

    /// The stable code, the same in every language.
    pub const fn code(&self) -> Code {
        match self {
            Error::Refused(refusal) => refusal.code(),
            Error::Closed => Code::Closed,
            Error::Unreachable(_) => Code::StorageLocked,
            Error::Full(_) => Code::StorageFull,
            Error::Busy(_) => Code::StorageBusy,
            Error::ReadOnly(_) => Code::StorageReadOnly,
            Error::Foreign => Code::StorageForeign,
            Error::NewerSchema { .. } => Code::NewerSchema,
            Error::Corrupt(_) => Code::StorageCorrupt,
            Error::Internal(_) => Code::Internal,
        }
    }

    /// Whether the same call may succeed later without a change of input or app.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Error::Unreachable(_) | Error::Full(_) | Error::Busy(_) => true,
            Error::Refused(_)
            | Error::Closed
            | Error::ReadOnly(_)
            | Error::Foreign
            | Error::NewerSchema { .. }
            | Error::Corrupt(_)
            | Error::Internal(_) => false,
        }
    }

    /// Whether the file is damaged. Only then is it ever moved aside; it is never deleted.
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Error::Corrupt(_))
    }
}
