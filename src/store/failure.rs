//! What each SQLite error means for an app.

use rusqlite::ErrorCode;

use crate::error::Error;

/// What an SQLite error means for an app. Only NOTADB, CORRUPT and values of a wrong type are damage;
/// a locked phone, a full disk and a busy file never look like it. The cause keeps SQLite's code and
/// its fixed text, no path and no value.
pub(crate) fn classify(error: rusqlite::Error) -> Error {
    use rusqlite::Error as Sqlite;
    match error {
        Sqlite::SqliteFailure(code, _) => {
            let cause =
                format!("SQLite {}: {}", code.extended_code, rusqlite::ffi::code_to_str(code.extended_code))
                    .into();
            match code.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(cause),
                ErrorCode::DiskFull => Error::Full(cause),
                // The index of the WAL could not be made larger: that takes room on the disk.
                _ if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => Error::Full(cause),
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed => Error::Busy(cause),
                ErrorCode::ReadOnly => Error::ReadOnly(cause),
                ErrorCode::CannotOpen
                | ErrorCode::AuthorizationForStatementDenied
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted => Error::Unreachable(cause),
                _ => Error::Internal(cause),
            }
        }
        Sqlite::FromSqlConversionFailure(..)
        | Sqlite::IntegralValueOutOfRange(..)
        | Sqlite::InvalidColumnType(..)
        | Sqlite::Utf8Error(..) => Error::Corrupt("a column holds a value of another type".into()),
        Sqlite::SqlInputError { error, .. } if error.code == ErrorCode::Unknown => {
            // A table or column that the schema must have is missing.
            Error::Corrupt("the schema is not the one this version made".into())
        }
        _ => Error::Internal("an SQLite call was used wrongly".into()),
    }
}

/// What a failed file operation means for an app.
pub(crate) fn io(error: std::io::Error) -> Error {
    Error::of_io(&error)
}
