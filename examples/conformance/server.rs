//! The one server of a vector: correct, shared by its replicas, and told of everything that a vector says
//! comes from the server.

use std::collections::BTreeMap;

use manbo::delivery::{Answer, Batch, Body, Identity, Moment, Next, Outcome};
use manbo::{Code, Day, Fact, IngestPolicy, Ledger, Now, Receipt, Refused, Rules, StepBook, ingest};
use serde_json::{Value, json};

use super::step::{Fields, Reply};
use super::{Stop, check};

/// Recovery mode: what a vector gives to the server is the server's own.
const OWN: IngestPolicy = IngestPolicy { latest_day: Day::LAST, recovery: true };
const CLIENT: IngestPolicy = IngestPolicy { latest_day: Day::LAST, recovery: false };

pub(crate) struct Server {
    ledger: Ledger,
    rules_version: u32,
    /// The batch on its way, of each replica.
    flights: BTreeMap<String, Batch>,
}

impl Server {
    pub(crate) fn new(rules: Rules) -> Server {
        Server {
            ledger: Ledger::new(*rules.levels()),
            rules_version: rules.version(),
            flights: BTreeMap::new(),
        }
    }

    /// The server has this fact.
    pub(crate) fn holds(&mut self, fact: Fact, now: Now) {
        let _ = ingest(&mut self.ledger, &[fact], 0, OWN, now);
    }

    /// Asks a replica's machine, and keeps the batch that it hands out.
    pub(crate) fn next(
        &mut self,
        (on, book): (&str, &mut StepBook),
        moment: Moment,
        expect: Option<&str>,
        fields: &Fields,
    ) -> Result<(), Stop> {
        let next = book.next_delivery(moment)?;
        let (got, until_ms) = match &next {
            Next::Upload(_) => ("upload", None),
            Next::Wait { until_ms } => ("wait", Some(*until_ms)),
            Next::Idle => ("idle", None),
            Next::Paused { until_ms } => ("paused", Some(*until_ms)),
            Next::Stalled => ("stalled", None),
        };
        let facts = if let Next::Upload(batch) = next {
            let facts = batch.facts.len();
            self.flights.insert(on.to_owned(), batch);
            Some(facts)
        } else {
            None
        };
        if let Some(expect) = expect {
            check::equal("next", &expect.into(), &got.into())?;
        }
        for (field, expected) in fields {
            let met = match field.as_str() {
                "facts" => json!(facts) == *expected,
                "until_ms_min" => until_ms >= expected.as_i64(),
                _ => until_ms.is_some() && until_ms <= expected.as_i64(),
            };
            if !met {
                let got = json!({ "facts": facts, "until_ms": until_ms });
                return Err(Stop::Unmet(format!("expected {field} {expected}, got {got}")));
            }
        }
        Ok(())
    }

    /// Lets the batch on its way meet its fate; gives the number of changes.
    pub(crate) fn report(
        &mut self,
        (on, book): (&str, &mut StepBook),
        moment: Moment,
        reply: &Reply,
    ) -> Result<usize, Stop> {
        let Some(batch) = self.flights.remove(on) else {
            return Err(Stop::File("report with nothing in flight".to_owned()));
        };
        let outcome = match reply {
            Reply::Receipt => self.receipt(&batch, &[], moment.now),
            Reply::ReceiptLost => {
                let _ = self.receipt(&batch, &[], moment.now);
                Outcome::Network
            }
            Reply::Network => Outcome::Network,
            Reply::WithoutProgress => {
                let revision = book.ledger()?.revision();
                self.reply(&batch, Receipt { revision, ..Receipt::default() })
            }
            Reply::Refused(named) => {
                let mut refused = Vec::new();
                for (cell, code) in named {
                    let (day, source) = (*cell)?;
                    let code = Code::parse(code).unwrap_or(Code::Unexplained);
                    let is_named = |fact: &&Fact| matches!(fact, Fact::Cell { day: d, source: s, .. } if (*d, *s) == (day, source));
                    refused
                        .extend(batch.facts.iter().find(is_named).map(|fact| Refused { fact: *fact, code }));
                }
                self.receipt(&batch, &refused, moment.now)
            }
            Reply::Status { status, retry_after_s, foreign } => Outcome::Reply {
                status: *status,
                retry_after_s: *retry_after_s,
                body: if *foreign { Body::Foreign } else { Body::Refusal(Some(identity())) },
            },
        };
        Ok(book.report_delivery(None, &outcome, moment)?.changes.len())
    }

    fn receipt(&mut self, batch: &Batch, refused: &[Refused], now: Now) -> Outcome {
        let is_refused = |fact: &Fact| refused.iter().any(|refused| refused.fact == *fact);
        let sent: Vec<Fact> = batch.facts.iter().copied().filter(|fact| !is_refused(fact)).collect();
        let mut receipt = ingest(&mut self.ledger, &sent, batch.since, CLIENT, now).receipt;
        receipt.refused.extend_from_slice(refused);
        self.reply(batch, receipt)
    }

    fn reply(&self, batch: &Batch, receipt: Receipt) -> Outcome {
        let answer = Answer {
            identity: identity(),
            incarnation: "vector".to_owned(),
            rules_version: self.rules_version,
            since: batch.since,
            complete_to: receipt.revision,
            receipt,
        };
        Outcome::Reply { status: 200, retry_after_s: None, body: Body::Receipt(Box::new(answer)) }
    }
}

fn identity() -> Identity {
    Identity { ledger: "vector".to_owned(), generation: 1 }
}

/// What is parked, in any order.
pub(crate) fn parked(book: &mut StepBook, expected: &[Value]) -> Result<(), Stop> {
    let told = |refused: Refused| match refused.fact {
        Fact::Cell { day, source, .. } => json!({ "day": day, "source": source, "code": refused.code }),
        Fact::Attended(day) => json!({ "day": day, "code": refused.code }),
    };
    let with_source = |value: &Value| {
        let mut value = value.clone();
        if value.get("source").is_none() && value.get("day").is_some() {
            value["source"] = super::value::HEALTH.into();
        }
        value
    };
    let sorted = |mut list: Vec<Value>| {
        list.sort_by_key(Value::to_string);
        Value::Array(list)
    };
    let got = sorted(book.parked()?.into_iter().map(told).collect());
    check::equal("parked", &sorted(expected.iter().map(with_source).collect()), &got)
}
