//! Judges what `cargo package` would upload.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

/// Without these a package cannot be built, understood or lawfully passed on.
const REQUIRED: &[&str] = &["src/lib.rs", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"];

/// A larger file is a recording or a build product that slipped in.
const LARGEST: u64 = 1 << 20;

/// Checks the lines of `cargo package --list` for the package at `root`.
pub(crate) fn check(root: &Path, listing: &str) -> Result<()> {
    let mut faults = Vec::new();
    for required in REQUIRED {
        if !listing.lines().any(|line| line == *required) {
            faults.push(format!("{required} is not in the package"));
        }
    }
    for line in listing.lines() {
        // Cargo writes a few files of the listing itself; those are not on the disk.
        let Ok(file) = fs::metadata(root.join(line)) else { continue };
        if file.len() > LARGEST {
            faults.push(format!("{line} has {} bytes, more than {LARGEST}", file.len()));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn a_listing_with_everything_passes() -> Result<()> {
        check(Path::new("nowhere"), &format!("{}\nCargo.toml.orig\n", REQUIRED.join("\n")))
    }

    #[test]
    fn every_lacking_file_is_named() {
        let error = check(Path::new("nowhere"), "src/lib.rs\ndocs/README.md\nLICENSE-MIT\n")
            .expect_err("lacks three");
        let expected = "README.md is not in the package; LICENSE-APACHE is not in the package; \
                        CHANGELOG.md is not in the package";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_large_file_is_named_with_its_size() -> Result<()> {
        let folder = env::temp_dir().join(format!("xtask-package-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::File::create(folder.join("fits.bin"))?.set_len(LARGEST)?;
        fs::File::create(folder.join("large.bin"))?.set_len(LARGEST + 1)?;
        let listing = format!("{}\nfits.bin\nlarge.bin\n", REQUIRED.join("\n"));
        let checked = check(&folder, &listing);
        fs::remove_dir_all(&folder)?;
        let error = checked.expect_err("too large").to_string();
        assert_eq!(error, "large.bin has 1048577 bytes, more than 1048576");
        Ok(())
    }
}
