//! `manbo-import export`: a ledger to standard output.

use std::error::Error;
use std::io::{BufWriter, Write};

use manbo::{Options, Store};
use manbo_import::{write_csv, write_json_lines};

use super::args::ExportArgs;

/// Runs the command.
///
/// # Errors
/// Those of the ledger and of standard output; a ledger or a user that is not there.
pub(crate) fn run(args: &ExportArgs) -> Result<(), Box<dyn Error>> {
    let file = args.db.display();
    // Opening would create it.
    if !args.db.exists() {
        return Err(format!("{file}: there is no such ledger").into());
    }
    let told = |error: manbo::Error| format!("{file}: {error}");
    let mut store = Store::open(&args.db, &Options::new()).map_err(told)?;
    let users = store.users().map_err(told)?;
    let user = match (&args.user, users.as_slice()) {
        (Some(user), users) if users.contains(user) => user,
        (Some(_), _) => return Err(format!("{file}: the ledger knows no user of that name").into()),
        (None, []) => "",
        (None, [only]) => only,
        (None, several) => {
            return Err(
                format!("{file}: the ledger holds {} people: name one with --user", several.len()).into()
            );
        }
    };
    let ledger = store.read(user).map_err(told)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.csv {
        write_csv(&ledger, &mut out)?;
    } else {
        write_json_lines(&ledger, &mut out)?;
    }
    Ok(out.flush()?)
}
