//! Plain and gzip files, from the disk to their first bytes.

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::detect::{self, Packing};
use super::meter::{Count, Metered, Unpacked, settle};
use crate::error::{ImportError, Result};

/// One read of the disk.
const DISK_BUFFER_BYTES: usize = 64 * 1024;

/// A path as errors and the report show it: one line whatever the name holds.
pub(super) fn display(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// A name without control characters, which could move a terminal's cursor.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What a path leads to.
pub(super) enum Place {
    Folder,
    File,
}

pub(super) fn place(path: &Path) -> Result<Place> {
    let name = display(path);
    let meta = fs::metadata(path).map_err(|cause| ImportError::io(&name, cause))?;
    if meta.is_dir() {
        Ok(Place::Folder)
    } else if meta.is_file() {
        Ok(Place::File)
    } else {
        let what = "neither a file nor a folder; a pipe or device has no end that can be trusted".to_owned();
        Err(ImportError::Unknown { file: name, what })
    }
}

/// A file's content from its beginning, unpacked.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read>,
    /// The content's first bytes; the reader gives them again.
    pub(super) head: Vec<u8>,
    /// The file's size on disk.
    pub(super) bytes: u64,
    /// Bytes read of it.
    pub(super) count: Count,
}

/// Opens a plain or gzip file; `None` for a zip, which is no single stream.
pub(super) fn open(path: &Path) -> Result<Option<Opened>> {
    let name = display(path);
    let io = |cause| settle(ImportError::io(&name, cause));
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut disk = Metered::new(file);
    let count = disk.count();
    let head = detect::head(&mut disk).map_err(io)?;
    let packing = detect::packing(&head);
    let whole = Cursor::new(head.clone()).chain(disk);
    match packing {
        Packing::Zip => Ok(None),
        Packing::Plain => Ok(Some(Opened { reader: Box::new(whole), head, bytes, count })),
        Packing::Gzip => {
            let gzip = MultiGzDecoder::new(BufReader::with_capacity(DISK_BUFFER_BYTES, whole));
            let mut content = Unpacked::new(gzip, count.clone(), None);
            let head = detect::head(&mut content).map_err(io)?;
            let reader = Box::new(Cursor::new(head.clone()).chain(content));
            Ok(Some(Opened { reader, head, bytes, count }))
        }
    }
}

/// Whether a file is Apple Health's, by its first bytes.
pub(super) fn is_apple_file(path: &Path) -> Result<bool> {
    let head = File::open(path).and_then(|mut file| detect::head(&mut file));
    Ok(detect::is_apple(&head.map_err(|cause| ImportError::io(&display(path), cause))?))
}
