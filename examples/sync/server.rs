//! What a service writes. `tiny_http` stands for any HTTP server; the `Store` does the rest.

use std::io::Read;

use manbo::wire::{self, Problem};
use manbo::{Code, Error, IngestPolicy, Store};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::Result;
use crate::host::moment;

/// Answers until it is unblocked. First a portal redirects once, and a busy server asks for a second's patience.
/// Gives how many requests followed the redirect.
pub(crate) fn serve(http: &Server, store: &mut Store) -> Result<usize> {
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
        // Whoever hung up asks again.
        let _ = request.respond(header.into_iter().fold(response, Response::with_header));
    }
    Ok(followed)
}

fn answer(request: &mut Request, store: &mut Store) -> Result<(u16, String)> {
    // The user comes from the credentials and from nowhere else.
    let bearer = request.headers().iter().find(|header| header.field.equiv("authorization"));
    let user = match bearer.map(|header| header.value.as_str()) {
        Some("Bearer new-token-of-ana") => "ana",
        _ => return Ok((401, wire::problem(Problem::Unauthorized, None))),
    };
    match (request.method(), request.url()) {
        (Method::Post, "/sync") => take(user, request, store),
        (Method::Delete, "/me") => Ok((200, serde_json::to_string(&store.erase(user, moment()?.now)?)?)),
        _ => Ok((404, String::new())),
    }
}

fn take(user: &str, request: &mut Request, store: &mut Store) -> Result<(u16, String)> {
    let mut body = Vec::new();
    // One byte more than is allowed tells that it is too much, however much more would come.
    request.as_reader().take(wire::UPLOAD_BYTES_MAX as u64 + 1).read_to_end(&mut body)?;
    let now = moment()?.now;
    let taken = match wire::read_upload(&body) {
        Ok(batch) => store.ingest(user, "app", &batch, IngestPolicy::at(now.unix_ms), now),
        Err(error) => return Ok((error.status(), refusal(error.code()).1)),
    };
    match taken {
        Ok(reply) => Ok((reply.status(), reply.body())),
        Err(Error::Refused(refused)) => Ok(refusal(refused.code())),
        // Nothing was taken: it is sent again.
        Err(_) => Ok((503, String::new())),
    }
}

fn refusal(code: Code) -> (u16, String) {
    match code {
        Code::BatchTooLarge => (413, wire::problem(Problem::BatchTooLarge, None)),
        _ => (400, wire::problem(Problem::BadValue, None)),
    }
}
