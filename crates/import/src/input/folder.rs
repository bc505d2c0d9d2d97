//! Folders: an unpacked archive, walked in the order of names.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::choose::choose;
use super::detect::LOOKED_FOR;
use super::importer::Importer;
use super::open::{display, is_apple_file};
use crate::error::{ImportError, Result};
use crate::input::Format;

/// How deep folders are followed: Google's Takeout is 4 deep, in a folder of folders of users 8.
const FOLDER_DEPTH_MAX: usize = 16;
/// How many files and folders are looked at: ten years of workout routes and of single-day files are 10,000.
/// At 200 bytes a path, 20 MB.
pub(super) const ENTRIES_MAX: usize = 100_000;

/// Reads what is known in a folder and the folders in it. Symbolic links are not followed: they could lead
/// round in a circle, or out of the export.
pub(super) fn read(importer: &mut Importer, root: &Path) -> Result<()> {
    let file = display(root);
    let mut found = Found::default();
    walk(root, 1, &mut found)?;
    let names: Vec<String> = found.files.iter().map(|path| path_with_slashes(path)).collect();
    let mut chosen = choose(&names);
    let mut taken = Vec::new();
    for (place, format) in chosen.take {
        let path = &found.files[place];
        match format {
            Some(format) => taken.push((path, format)),
            None if is_apple_file(path)? => taken.push((path, Format::AppleHealth)),
            None => {}
        }
    }
    if found.links > 0 {
        chosen.notes.push(format!("symbolic links in the folder were not followed (links: {})", found.links));
    }
    if taken.is_empty() {
        let mut what = format!("the folder holds nothing that is known; looked for: {LOOKED_FOR}");
        for note in chosen.notes {
            what = format!("{what}; {note}");
        }
        return Err(ImportError::Unknown { file, what });
    }
    importer.note_next(chosen.notes);
    taken.into_iter().try_for_each(|(path, format)| importer.read_file(path, Some(format)))
}

#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    entries: usize,
    links: usize,
}

fn walk(folder: &Path, depth: usize, found: &mut Found) -> Result<()> {
    let name = display(folder);
    if depth > FOLDER_DEPTH_MAX {
        let what = format!(
            "folders are nested more than {FOLDER_DEPTH_MAX} deep; give the folder of the export itself"
        );
        return Err(ImportError::Unknown { file: name, what });
    }
    let mut entries: Vec<DirEntry> = Vec::new();
    for entry in fs::read_dir(folder).map_err(|cause| ImportError::io(&name, cause))? {
        found.entries += 1;
        if found.entries > ENTRIES_MAX {
            let what = format!(
                "the folder holds more than {ENTRIES_MAX} files; give the folder of the export itself"
            );
            return Err(ImportError::Unknown { file: name, what });
        }
        entries.push(entry.map_err(|cause| ImportError::io(&name, cause))?);
    }
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // The entry's own type: not that of what a link leads to.
        let kind = entry.file_type().map_err(|cause| ImportError::io(&display(&path), cause))?;
        if kind.is_symlink() {
            found.links += 1;
        } else if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file() {
            found.files.push(path);
        }
    }
    Ok(())
}

fn path_with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
