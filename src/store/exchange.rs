//! Moving a damaged file aside and the rebuilt one into its place: names, order, and one process at a
//! time. Nothing of the user's is deleted or overwritten.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::io;
use super::{FileId, beside};
use crate::error::{Error, Result};

/// Damaged files kept beside one ledger; more than this is a failing disk, which the app must show.
const DAMAGED_MAX: usize = 99;
/// How long to wait before asking again for the lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Only one process at a time rebuilds a file or exchanges it. The lock goes with the process.
pub(crate) struct RecoveryLock {
    file: File,
    path: PathBuf,
}

impl RecoveryLock {
    /// Waits for it as long as for a writer.
    pub(crate) fn take(path: &Path, timeout: Duration) -> Result<RecoveryLock> {
        let path = beside(path, ".recovering");
        let mut pauses_left = timeout.as_millis() / LOCK_PAUSE.as_millis();
        loop {
            let file = File::options().create(true).append(true).open(&path).map_err(io)?;
            match file.try_lock() {
                // The one who had it before removed the file that this process had already opened.
                Ok(()) if FileId::of(&path) != FileId::of_file(&file) => {}
                // Where a file system knows no locks, one process alone is the usual case.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(RecoveryLock { file, path }),
                Err(TryLockError::WouldBlock) if pauses_left == 0 => {
                    return Err(Error::Busy("another process mends the file".into()));
                }
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(LOCK_PAUSE);
                    pauses_left -= 1;
                }
            }
        }
    }
}

impl Drop for RecoveryLock {
    fn drop(&mut self) {
        // Removed while it is held, so that nobody holds another one meanwhile; a file that stays is empty.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Whether a kill interrupted an exchange.
pub(crate) fn is_interrupted(path: &Path) -> bool {
    beside(path, ".rebuilt").exists()
}

/// The name under which a damaged file is kept.
pub(crate) fn name_aside(path: &Path) -> Option<PathBuf> {
    let names = || (1..=DAMAGED_MAX).map(|n| beside(path, &format!(".damaged-{n}")));
    if is_interrupted(path) {
        // The file may have its second name already, or only that; or only its WAL was moved.
        let file = FileId::of(path);
        let linked = names().find(|name| file.is_some() && FileId::of(name) == file);
        let last = names().take_while(|name| taken(name)).last();
        let half = last.filter(|name| file.is_none() || !(name.exists() || beside(path, "-wal").exists()));
        if let Some(name) = linked.or(half) {
            return Some(name);
        }
    }
    names().find(|name| !taken(name))
}

fn taken(name: &Path) -> bool {
    ["", "-wal", "-shm"].iter().any(|suffix| beside(name, suffix).exists())
}

/// Moves the damaged file aside with its WAL, and the rebuilt one into its place. Every step may be the
/// last before a kill: `.rebuilt` is there until the end, and while it is, every open comes back here.
pub(crate) fn exchange(path: &Path, aside: &Path) -> Result<()> {
    for suffix in ["-wal", "-shm"] {
        let (from, to) = (beside(path, suffix), beside(aside, suffix));
        if from.exists() && !to.exists() {
            std::fs::rename(from, to).map_err(io)?;
        } else if from.exists() {
            // A second WAL of the same damaged file: someone wrote to it after the kill.
            let spare = (2..=DAMAGED_MAX).map(|n| beside(&to, &format!("-{n}"))).find(|name| !name.exists());
            std::fs::rename(from, spare.ok_or_else(too_many)?).map_err(io)?;
        }
    }
    if path.exists() && !aside.exists() {
        // A link first: at no moment is the name without a file. Where there are no links, the file is
        // away for a moment, and `.rebuilt` tells everyone who opens it what to do.
        if std::fs::hard_link(path, aside).is_err() {
            std::fs::rename(path, aside).map_err(io)?;
        }
    }
    sync_folder(path)?;
    std::fs::rename(beside(path, ".rebuilt"), path).map_err(io)?;
    sync_folder(path)
}

pub(crate) fn too_many() -> Error {
    Error::Corrupt("too many damaged files lie beside it".into())
}

/// Makes renames durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    }
    Ok(())
}
