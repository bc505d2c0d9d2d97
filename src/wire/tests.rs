use super::*;
use crate::domain::register::Register;
use crate::domain::steps::{Counts, Source};

/// Bodies as version 1 was first written: they stay readable for ever.
const UPLOAD_1: &str = r#"{"manbo":1,"ledger":"l","generation":2,"since":7,"facts":[{"day":"2022-10-04","source":"watch","epoch":0,"recorded":8500,"manual":20},{"day":"2022-10-03","source":"watch","epoch":2,"recorded":null,"manual":0},{"attended":"2022-10-04"}],"digest":"3df68cd7db7180d9777779414c534fbd"}"#;
const RECEIPT_1: &str = r#"{"manbo":1,"ledger":"l","generation":2,"incarnation":"i","rules":1,"since":7,"revision":9,"complete_to":8,"accepted":[{"attended":"2022-10-04"}],"refused":[{"fact":{"day":"2022-10-04","source":"watch","epoch":0,"recorded":8500,"manual":20},"code":"future_day"}],"flagged":[],"facts":[{"day":"2022-10-03","source":"watch","epoch":2,"recorded":null,"manual":0}],"digest":"c90ec27489e355521885368e196571e9"}"#;
const PROBLEM_1: &str =
    r#"{"manbo":1,"error":"erased","ledger":"l","generation":3,"digest":"29fe1a78171c4e39b4128e3e6f56ab51"}"#;

fn cell(day: &str, epoch: u16, counts: Option<(u32, u32)>) -> Fact {
    let counts = counts.map(|(recorded, manual)| Counts::new(recorded, manual));
    let register = Register { epoch, counts };
    Fact::Cell { day: day.parse().unwrap(), source: Source::new("watch").unwrap(), register }
}

fn facts() -> [Fact; 3] {
    let attended = Fact::Attended("2022-10-04".parse().unwrap());
    [cell("2022-10-04", 0, Some((8_500, 20))), cell("2022-10-03", 2, None), attended]
}

fn identity(generation: u32) -> Identity {
    Identity { ledger: "l".to_owned(), generation }
}

fn batch() -> Batch {
    Batch { ticket: 0, identity: Some(identity(2)), since: 7, facts: facts().to_vec() }
}

fn answer() -> Answer {
    let [first, second, third] = facts();
    let receipt = Receipt {
        accepted: vec![third],
        refused: vec![Refused { fact: first, code: Code::FutureDay }],
        flagged: Vec::new(),
        revision: 9,
        facts: vec![second],
    };
    let incarnation = "i".to_owned();
    Answer { identity: identity(2), incarnation, rules_version: 1, since: 7, complete_to: 8, receipt }
}

#[test]
fn what_version_1_wrote_is_read_and_written_the_same() {
    assert_eq!(upload(&batch()), UPLOAD_1);
    assert_eq!(read_upload(UPLOAD_1.as_bytes()), Ok(batch()));
    assert_eq!(receipt(&answer()), RECEIPT_1);
    assert_eq!(read_receipt(RECEIPT_1.as_bytes()), Ok(answer()));
    assert_eq!(problem(Problem::Erased, Some(&identity(3))), PROBLEM_1);
    assert_eq!(read_problem(PROBLEM_1.as_bytes()), Ok((Problem::Erased, Some(identity(3)))));
}

#[test]
fn an_upload_by_hand_needs_no_digest_and_no_order() {
    let body = r#" {"facts":[{"attended":"2022-10-04"}],"since":0,"generation":null,"ledger":null,"manbo":1,"later":[]} "#;
    assert_eq!(read_upload(body.as_bytes()).unwrap().facts, [facts()[2]]);
}

#[test]
fn a_body_that_is_cut_off_anywhere_is_not_ours() {
    for end in 0..RECEIPT_1.len() {
        let body = &RECEIPT_1.as_bytes()[..end];
        let reply = read_reply(200, None, body, 0);
        assert_eq!(reply, Outcome::Reply { status: 200, retry_after_s: None, body: Body::Foreign }, "{end}");
    }
}

#[test]
fn a_body_in_which_one_bit_flipped_is_not_ours() {
    for index in 0..RECEIPT_1.len() * 8 {
        let mut body = RECEIPT_1.as_bytes().to_vec();
        body[index / 8] ^= 1 << (index % 8);
        // Hexadecimal digits are compared as they stand, so that no flip passes.
        assert!(read_receipt(&body).is_err(), "bit {index}");
    }
}

#[test]
fn hostile_uploads_are_refused_and_tell_nothing() {
    let with = |facts: &str| {
        let body = format!(r#"{{"manbo":1,"ledger":null,"generation":null,"since":0,"facts":[{facts}]}}"#);
        read_upload(body.as_bytes())
    };
    let bad = [
        r#"{"day":"2022-10-04","source":"watch","epoch":0,"recorded":-1,"manual":0}"#,
        r#"{"day":"2022-10-04","source":"watch","epoch":0,"recorded":1.5,"manual":0}"#,
        r#"{"day":"2022-10-04","source":"watch","epoch":0,"recorded":4294967296,"manual":0}"#,
        r#"{"day":"2022-10-04","source":"watch","epoch":65536,"recorded":1,"manual":0}"#,
        r#"{"day":"2022-02-30","source":"watch","epoch":0,"recorded":1,"manual":0}"#,
        r#"{"day":"2022-10-04","source":"Watch","epoch":0,"recorded":1,"manual":0}"#,
        r#"{"day":"2022-10-04","source":"watch","epoch":0,"recorded":1,"manual":0,"extra":1}"#,
        r#"{"day":"2022-10-04","day":"2022-10-04","source":"watch","epoch":0,"recorded":1,"manual":0}"#,
        r#"{"attended":"2022-10-04","attended":"2022-10-04"}"#,
        r"{}",
        "NaN",
    ];
    for facts in bad {
        let error = with(facts).unwrap_err();
        assert!(matches!(error, WireError::Malformed { .. }), "{facts}: {error}");
        assert!(!error.to_string().contains("2022") && !error.to_string().contains("watch"));
    }
    assert!(with("").is_ok());
    let deep = "[".repeat(100_000);
    assert!(read_upload(deep.as_bytes()).is_err());
    let large = vec![b' '; UPLOAD_BYTES_MAX + 1];
    assert_eq!(read_upload(&large), Err(WireError::TooLarge));
    let newer = br#"{"manbo":2,"anything":true}"#;
    assert_eq!(read_upload(newer), Err(WireError::Newer { found: 2 }));
    let half = br#"{"manbo":1,"ledger":"l","generation":null,"since":0,"facts":[]}"#;
    assert!(read_upload(half).is_err());
    let changed = UPLOAD_1.replace("8500", "9500");
    assert_eq!(read_upload(changed.as_bytes()), Err(WireError::Damaged));
}

#[test]
fn a_code_of_a_later_server_is_unexplained() {
    let later = RECEIPT_1.replace("future_day", "moon_phase");
    let message = later.rsplit_once(DIGEST_MEMBER).unwrap().0;
    let body = format!("{message}{DIGEST_MEMBER}{}\"}}", digest(message.as_bytes()));
    assert_eq!(read_receipt(body.as_bytes()).unwrap().receipt.refused[0].code, Code::Unexplained);
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now_ms = 784_111_777_000;
    let after = |text| match read_reply(503, Some(text), b"", now_ms) {
        Outcome::Reply { retry_after_s, .. } => retry_after_s,
        Outcome::Network => None,
    };
    assert_eq!(after("120"), Some(120));
    assert_eq!(after(" -1 "), Some(-1));
    assert_eq!(after("Sun, 06 Nov 1994 08:51:37 GMT"), Some(2 * 60));
    assert_eq!(after("Thu, 01 Jan 1970 00:00:00 GMT"), Some(-784_111_777));
    assert_eq!(after("soon"), None);
    assert_eq!(after("99999999999999999999"), None);
}

#[test]
fn the_largest_batch_fits_into_its_limit() {
    let name = "a".repeat(32);
    let source = Source::new(&name).unwrap();
    let register = Register { epoch: u16::MAX, counts: Some(Counts::new(300_000, 300_000)) };
    let fact = Fact::Cell { day: "2022-10-04".parse().unwrap(), source, register };
    let body = upload(&Batch { facts: vec![fact; 1_000], ..batch() });
    assert!(body.len() < UPLOAD_BYTES_MAX, "{}", body.len());
}
