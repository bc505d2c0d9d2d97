//! Two devices and a server over real HTTP on this machine: `cargo run --release --example sync`. `host.rs` is
//! what an app writes, `server.rs` what a service writes. On the way are a portal, a busy server, a token that
//! ran out, a background transfer whose answer a new process applies, and an erasure.

mod host;
mod server;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use manbo::delivery::Next;
use manbo::{Options, Reading, Source, StepBook, Store, wire};
use tiny_http::Server;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    if let [_, role, ledger, answer] = std::env::args().collect::<Vec<_>>().as_slice()
        && role == "answered"
    {
        say("  a new process applies the answer");
        let answer = serde_json::from_slice(&std::fs::read(answer)?)?;
        // It knows nothing of the request. Where a transfer can carry a note, that is the batch's ticket.
        return host::apply(&mut StepBook::open(ledger, &Options::new())?, None, &answer);
    }
    let folder = tempfile::tempdir()?;
    let options = Options::new().server("a text that no other server has");
    let mut store = Store::open(folder.path().join("server.db"), &options)?;
    let http = Server::http("127.0.0.1:0")?;
    let url = format!("http://{}", http.server_addr());
    std::thread::scope(|threads| {
        let serving = threads.spawn(|| server::serve(&http, &mut store));
        let told = tell(folder.path(), &url);
        http.unblock();
        let followed = serving.join().map_err(|_| "the server failed")??;
        say(&format!("Requests that followed the portal's redirect: {followed}"));
        told
    })
}

fn tell(folder: &Path, url: &str) -> Result<()> {
    let sync_url = format!("{url}/sync");
    let sign_in = || "new-token-of-ana".to_owned();
    let mut token = "old-token-of-ana".to_owned();

    say("A phone sends a week, past a portal, a busy server and a token that ran out:");
    let mut phone = open(folder, "phone.db")?;
    (0..7).try_for_each(|days_ago| walk(&mut phone, days_ago, 8_500))?;
    phone.attend(host::moment()?.now.today, host::moment()?.now)?;
    host::sync(&mut phone, &sync_url, &mut token, sign_in)?;

    say("A second device has nothing, and is filled:");
    let mut tablet = open(folder, "tablet.db")?;
    host::sync(&mut tablet, &sync_url, &mut token, sign_in)?;
    say(&format!("  both hold the same facts: {}", phone.digest()? == tablet.digest()?));

    say("The phone hands a batch to a background transfer, and its process ends:");
    walk(&mut phone, 0, 9_700)?;
    let (upload, answer) = (folder.join("upload.json"), folder.join("answer.json"));
    let Next::Upload(batch) = phone.next_delivery(host::moment()?)? else { return Err("no batch".into()) };
    std::fs::write(&upload, wire::upload(&batch))?;
    drop(phone);
    let came = host::post(&sync_url, &token, &std::fs::read_to_string(upload)?);
    std::fs::write(&answer, serde_json::to_vec(&came)?)?;
    let ledger = folder.join("phone.db");
    let ended = Command::new(std::env::current_exe()?).arg("answered").args([&ledger, &answer]).status()?;
    let mut phone = open(folder, "phone.db")?;
    say(&format!("  it ended with {ended}; facts that wait: {}", phone.pending_count()?));

    say("The person has everything erased; the tablet hears of it when it next sends:");
    ureq::delete(format!("{url}/me")).header("authorization", format!("Bearer {token}")).call()?;
    walk(&mut tablet, 0, 9_900)?;
    host::sync(&mut tablet, &sync_url, &mut token, sign_in)?;
    say(&format!("  facts left on it: {}", tablet.ledger()?.facts().len()));
    Ok(())
}

fn open(folder: &Path, name: &str) -> Result<StepBook> {
    Ok(StepBook::open(folder.join(name), &Options::new())?)
}

fn walk(book: &mut StepBook, days_ago: i32, steps: u32) -> Result<()> {
    let now = host::moment()?.now;
    book.record(&Reading::new(now.today.plus(-days_ago), Source::new("watch")?, steps), now)?;
    Ok(())
}

fn say(line: &str) {
    // Whoever closed the output does not want to hear it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
