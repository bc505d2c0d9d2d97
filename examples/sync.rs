//! The loop that a host writes, over real HTTP on this machine: `cargo run --release --example sync`. On the way
//! are a portal, a busy server, a token that ran out, a background transfer and an erasure.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use manbo::delivery::{Moment, Next, Notice, Outcome, Trigger};
use manbo::wire::{self, Problem};
use manbo::{Code, IngestPolicy, Now, Options, Reading, Source, StepBook, Store, UtcOffset};
use tiny_http::{Header, Method, Request, Response, Server};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Rounds of the loop: a server that is down must not keep a background task alive.
const ROUNDS_MAX: usize = 30;
/// The longest wait that the loop sits out; an app sets its alarm to `delivery_due` and comes back.
const PATIENCE_MS: i64 = 5_000;
/// Bytes of an answer that are read: ten years of five sources are 18,250 facts of 150 bytes, a sixth of this.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A host asks its clock and its zone; the seed is any number that differs from device to device.
fn moment() -> Result<Moment> {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Now::at(i64::try_from(elapsed.as_millis())?, UtcOffset::UTC);
    Ok(Moment { now, seed: elapsed.subsec_nanos().into() })
}

/// Sends until nothing is left to do. `sign_in` gives a new token where the server refuses the old one.
fn sync(book: &mut StepBook, url: &str, mut token: &str, sign_in: Option<&'static str>) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        match book.next_delivery(moment()?)? {
            Next::Idle => return Ok(()),
            Next::Upload(batch) => {
                let (status, retry_after, body) = post(url, token, &wire::upload(&batch));
                say(&format!("  {} facts sent, {}", batch.facts.len(), status_name(status)));
                apply(book, Some(batch.ticket), status, retry_after.as_deref(), &body)?;
            }
            Next::Wait { until_ms } => match until_ms - moment()?.now.unix_ms {
                wait_ms @ ..=PATIENCE_MS => {
                    std::thread::sleep(Duration::from_millis(wait_ms.max(0).unsigned_abs()));
                }
                _ => return Ok(()),
            },
            Next::Paused { .. } => match sign_in {
                Some(new) if new != token => {
                    token = new;
                    book.trigger_delivery(Trigger::Credentials, moment()?.now)?;
                }
                _ => return Ok(()),
            },
            Next::Stalled => return Ok(say("  the server answers and nothing moves: a case for support")),
        }
    }
    Ok(())
}

/// One request; status 0: no answer came. No redirect is followed: the token goes to this server or nowhere.
fn post(url: &str, token: &str, body: &str) -> (u16, Option<String>, Vec<u8>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    let agent = config.timeout_global(Some(Duration::from_secs(30))).build().new_agent();
    let bearer = format!("Bearer {token}");
    let Ok(mut reply) = agent.post(url).header("authorization", bearer).send(body) else {
        return (0, None, Vec::new());
    };
    let retry_after = reply.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let (status, retry_after) = (reply.status().as_u16(), retry_after.map(str::to_owned));
    match reply.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec() {
        Ok(body) => (status, retry_after, body),
        Err(_) => (0, None, Vec::new()),
    }
}

/// Tells the book what came back, and the person what they have to hear.
fn apply(
    book: &mut StepBook,
    of: Option<u64>,
    status: u16,
    retry_after: Option<&str>,
    body: &[u8],
) -> Result<()> {
    let at = moment()?;
    let outcome = match status {
        0 => Outcome::Network,
        _ => wire::read_reply(status, retry_after, body, at.now.unix_ms),
    };
    for notice in book.report_delivery(of, &outcome, at)?.notices {
        say(&format!("  to tell the person: {notice:?}"));
        if let Notice::Erased { .. } = notice {
            book.follow_erasure()?;
        }
    }
    Ok(())
}

/// The server: a token names the user, a store does the rest. Before it is reached, a portal redirects once and
/// a busy server asks for a second. Gives how many requests followed the redirect.
fn serve(http: &Server, store: &mut Store) -> Result<usize> {
    let (mut seen, mut followed) = (0, 0);
    for mut request in http.incoming_requests() {
        seen += 1;
        let (status, header, body) = match (seen, request.url()) {
            (_, "/portal") => {
                followed += 1;
                (200, None, "<html>please sign in</html>".to_owned())
            }
            (1, _) => (307, Some(("location", "/portal")), String::new()),
            (2, _) => (503, Some(("retry-after", "1")), String::new()),
            _ => {
                let (status, body) = answer(&mut request, store)?;
                (status, None, body)
            }
        };
        let header = header.and_then(|(name, value)| Header::from_bytes(name, value).ok());
        let response = Response::from_string(body).with_status_code(status);
        request.respond(header.into_iter().fold(response, Response::with_header))?;
    }
    Ok(followed)
}

fn answer(request: &mut Request, store: &mut Store) -> Result<(u16, String)> {
    let bearer = request.headers().iter().find(|header| header.field.equiv("authorization"));
    let Some("Bearer ana-new") = bearer.map(|header| header.value.as_str()) else {
        return Ok((401, wire::problem(Problem::Unauthorized, None)));
    };
    let now = moment()?.now;
    if (request.method(), request.url()) == (&Method::Delete, "/me") {
        return Ok((200, serde_json::to_string(&store.erase("ana", now)?)?));
    }
    let mut body = Vec::new();
    request.as_reader().take(wire::UPLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut body)?;
    let refused = |code| match code {
        Code::BatchTooLarge => (413, wire::problem(Problem::BatchTooLarge, None)),
        _ => (400, wire::problem(Problem::BadValue, None)),
    };
    let batch = match wire::read_upload(&body) {
        Ok(batch) => batch,
        Err(error) => return Ok(refused(error.code())),
    };
    match store.ingest("ana", "phone", &batch, IngestPolicy::at(now.unix_ms), now) {
        Ok(reply) => Ok((reply.status(), reply.body())),
        Err(manbo::Error::Refused(refusal)) => Ok(refused(refusal.code())),
        // Nothing was taken: a busy or full server is asked again.
        Err(_) => Ok((503, String::new())),
    }
}

fn story(folder: &Path, url: &str) -> Result<()> {
    let open = |name: &str| StepBook::open(folder.join(name), &Options::new());
    let walk = |book: &mut StepBook, days_ago, steps| {
        let now = moment()?.now;
        book.record(&Reading::new(now.today.plus(-days_ago), Source::new("watch")?, steps), now)?;
        Result::Ok(())
    };
    say("A phone sends a week, past a portal that redirects, a busy server and a token that ran out:");
    let mut phone = open("phone.db")?;
    (0..7).try_for_each(|n| walk(&mut phone, n, 8_500))?;
    sync(&mut phone, &format!("{url}/sync"), "ana-old", Some("ana-new"))?;

    say("A second device has nothing, and is filled:");
    let mut tablet = open("tablet.db")?;
    sync(&mut tablet, &format!("{url}/sync"), "ana-new", None)?;
    say(&format!("  both hold the same facts: {}", phone.digest()? == tablet.digest()?));

    say("The phone hands a batch to a background transfer, and its process ends:");
    walk(&mut phone, 0, 9_700)?;
    let (sent, reply) = (folder.join("upload.json"), folder.join("reply.json"));
    let Next::Upload(batch) = phone.next_delivery(moment()?)? else { return Err("a batch was due".into()) };
    std::fs::write(&sent, wire::upload(&batch))?;
    drop((phone, batch));
    let came = post(&format!("{url}/sync"), "ana-new", &std::fs::read_to_string(&sent)?);
    std::fs::write(&reply, serde_json::to_vec(&came)?)?;
    let answered = [Path::new("answered"), &folder.join("phone.db"), &reply];
    let ended = std::process::Command::new(std::env::current_exe()?).args(answered).status()?;
    say(&format!(
        "  it {}; {} facts wait",
        if ended.success() { "did" } else { "failed" },
        open("phone.db")?.pending_count()?
    ));

    say("The person asks the server to erase everything; the tablet hears of it when it next sends:");
    ureq::delete(format!("{url}/me")).header("authorization", "Bearer ana-new").call()?;
    walk(&mut tablet, 0, 9_900)?;
    sync(&mut tablet, &format!("{url}/sync"), "ana-new", None)?;
    Ok(say(&format!("  {} facts are left on it", tablet.ledger()?.facts().len())))
}

fn main() -> Result<()> {
    if let [_, role, ledger, reply] = std::env::args().collect::<Vec<_>>().as_slice()
        && role == "answered"
    {
        // A new process: it knows the ledger and the answer, and nothing of the request.
        let (status, retry_after, body): (u16, Option<String>, Vec<u8>) =
            serde_json::from_slice(&std::fs::read(reply)?)?;
        say("  a new process applies the answer");
        return apply(
            &mut StepBook::open(ledger, &Options::new())?,
            None,
            status,
            retry_after.as_deref(),
            &body,
        );
    }
    let folder = tempfile::tempdir()?;
    let mut store =
        Store::open(folder.path().join("server.db"), &Options::new().server("any text of its own"))?;
    let http = Server::http("127.0.0.1:0")?;
    let url = format!("http://{}", http.server_addr());
    std::thread::scope(|threads| {
        let server = threads.spawn(|| serve(&http, &mut store));
        let told = story(folder.path(), &url);
        http.unblock();
        let followed = server.join().map_err(|_| "the server failed")??;
        say(&format!("Requests that followed the portal's redirect: {followed}."));
        told
    })
}

fn status_name(status: u16) -> String {
    if status == 0 { "no answer".to_owned() } else { format!("answered {status}") }
}

fn say(line: &str) {
    // Whoever closed the output does not want to hear it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
