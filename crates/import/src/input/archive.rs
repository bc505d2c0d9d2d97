//! Zip archives: the entries that are known, in the order of their names.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use zip::read::ZipFileEntry;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::Format;
use super::choose::{Chosen, choose};
use super::detect::{self, LOOKED_FOR};
use super::folder::ENTRIES_MAX;
use super::importer::{Importer, Input};
use super::meter::{Count, Metered, Unpacked, is_stop, settle};
use super::open::{display, plain};
use crate::error::{ImportError, Result};

/// The directory stands at the end, after it a record of 22 bytes with a comment of at most 65,535.
const ZIP_END_BYTES: u64 = 22 + 65_535;
/// The record's first bytes.
const ZIP_END_MARK: &[u8] = b"PK\x05\x06";
/// What is read to open an archive: the directory of [`ENTRIES_MAX`] entries of 46 bytes with 120 for the
/// name and extra fields is 16.6 MB. Without it, a directory as large as the disk would become memory.
const ZIP_DIRECTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

type Archive = ZipArchive<BufReader<Metered<File>>>;

/// Reads what is known in an archive. An archive within it is not opened.
pub(super) fn read(importer: &mut Importer, path: &Path) -> Result<()> {
    let file = display(path);
    let mut disk = Metered::new(File::open(path).map_err(|cause| ImportError::io(&file, cause))?);
    check_end(&file, &mut disk)?;
    let (count, stop) = (disk.count(), disk.stop());
    stop.set(ZIP_DIRECTORY_BYTES_MAX);
    let mut archive = ZipArchive::new(BufReader::new(disk)).map_err(|error| opening(&file, error))?;
    if archive.len() > ENTRIES_MAX {
        return Err(too_many(&file));
    }
    stop.set(u64::MAX);
    if archive.has_overlapping_files().map_err(|error| opening(&file, error))? {
        let what = "entries of the archive share their data, which only an attack does".to_owned();
        return Err(ImportError::Malformed { file, line: 0, what });
    }
    let (chosen, taken) = known(&file, &mut archive, &count)?;
    if taken.is_empty() {
        let mut what = format!("the archive holds nothing that is known; looked for: {LOOKED_FOR}");
        for note in chosen.notes {
            what = format!("{what}; {note}");
        }
        return Err(ImportError::Unknown { file, what });
    }
    importer.note_next(chosen.notes);
    for Entry { index, name, format } in taken {
        let before = count.get();
        let entry = archive.by_index(index).map_err(|error| opening(&name, error))?;
        let (packed, claimed) = (entry.compressed_size(), entry.size());
        let mut reader = Unpacked::new(entry, count.clone(), Some(claimed));
        let input = Input { name: &name, bytes: Some(packed), count: count.clone(), before };
        importer.read_stream(input, format, &mut reader)?;
    }
    Ok(())
}

struct Entry {
    index: usize,
    name: String,
    format: Format,
}

/// The entries to read.
fn known(file: &str, archive: &mut Archive, count: &Count) -> Result<(Chosen, Vec<Entry>)> {
    let mut names = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| opening(file, error))?;
        // A name that is not in the encoding that it claims still has its ASCII.
        let name = entry
            .name()
            .map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), Cow::into_owned);
        names.push((name, index));
    }
    names.sort_unstable();
    let (paths, indices): (Vec<String>, Vec<usize>) = names.into_iter().unzip();
    let chosen = choose(&paths);
    let mut taken = Vec::new();
    for (place, format) in &chosen.take {
        let name = format!("{file}!{}", plain(&paths[*place]));
        let index = indices[*place];
        check_packing(&name, archive.by_index_data(index).map_err(|error| opening(file, error))?)?;
        if let Some(format) = format {
            taken.push(Entry { index, name, format: *format });
            continue;
        }
        let entry = archive.by_index(index).map_err(|error| opening(&name, error))?;
        let mut entry = Unpacked::new(entry, count.clone(), None);
        let head = detect::head(&mut entry).map_err(|cause| settle(ImportError::io(&name, cause)))?;
        drop(entry);
        if detect::is_apple(&head) {
            taken.push(Entry { index, name, format: Format::AppleHealth });
        }
    }
    Ok((chosen, taken))
}

/// Whether an entry is packed as exports are.
fn check_packing(name: &str, entry: ZipFileEntry<'_>) -> Result<()> {
    let what = if entry.encrypted() {
        "this is encrypted; unpack it with its password and give the folder"
    } else if matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Ok(());
    } else {
        "this is packed in a way that is not read; unpack it and give the folder"
    };
    Err(ImportError::Unknown { file: name.to_owned(), what: what.to_owned() })
}

/// Whether the end record is there: what a download lacks that was cut off, and what would otherwise be
/// searched for through the whole file.
fn check_end(file: &str, disk: &mut Metered<File>) -> Result<()> {
    let mut end = Vec::new();
    let mut tail = || {
        let len = disk.seek(SeekFrom::End(0))?;
        disk.seek(SeekFrom::Start(len.saturating_sub(ZIP_END_BYTES)))?;
        disk.take(ZIP_END_BYTES).read_to_end(&mut end)?;
        disk.seek(SeekFrom::Start(0))
    };
    tail().map_err(|cause| ImportError::io(file, cause))?;
    if end.windows(ZIP_END_MARK.len()).any(|window| window == ZIP_END_MARK) {
        return Ok(());
    }
    let what = "the archive's directory at its end is missing; is the download complete?";
    Err(ImportError::Truncated { file: file.to_owned(), line: 0, what })
}

fn too_many(file: &str) -> ImportError {
    let what = format!(
        "the archive's directory is larger than that of {ENTRIES_MAX} files; unpack it and give the folder of the export"
    );
    ImportError::Unknown { file: file.to_owned(), what }
}

/// What the archive's directory says wrong.
fn opening(file: &str, error: ZipError) -> ImportError {
    let file = file.to_owned();
    match error {
        ZipError::Io(cause) if is_stop(&cause) => too_many(&file),
        ZipError::Io(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
            ImportError::Truncated { file, line: 0, what: "the archive's directory points beyond its end" }
        }
        ZipError::Io(cause) => ImportError::Io { file, cause },
        _ => ImportError::Malformed { file, line: 0, what: "the archive's directory is damaged".to_owned() },
    }
}
