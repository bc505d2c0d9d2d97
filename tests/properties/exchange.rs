//! Devices and a server: batches in any shape give the same ledger, and no fact is lost on the way.

use manbo::{
    Code, Day, Fact, IngestPolicy, Ingested, Ledger, Now, Operation, Receipt, Register, Rules, Source, ingest,
};
use proptest::prelude::*;

use crate::common::{
    Act, SPAN, any_day, any_fact, any_source, any_today, any_value, config, day, empty, own_act,
};

const NOT_KNOWN: u64 = u64::MAX;

fn policy() -> IngestPolicy {
    IngestPolicy { latest_day: day(SPAN + 1), recovery: false }
}

fn now() -> Now {
    Now::on(day(SPAN))
}

fn server() -> Ledger {
    empty(&Rules::default())
}

/// What any server takes in any order: epochs that a client may give.
fn allowed(fact: Fact) -> Fact {
    match fact {
        Fact::Cell { day, source, mut register } => {
            register.epoch = register.epoch % 6 / 2 * 2;
            Fact::Cell { day, source, register }
        }
        Fact::Attended(_) => fact,
    }
}

fn any_batches() -> impl Strategy<Value = (Vec<Fact>, Vec<Vec<Fact>>)> {
    prop::collection::vec(any_fact().prop_map(allowed), 1..30).prop_flat_map(|facts| {
        let more = prop::collection::vec(prop::sample::select(facts.clone()), 0..20);
        let all = more.prop_map({
            let facts = facts.clone();
            move |more| [facts.clone(), more].concat()
        });
        let batches = (all.prop_shuffle(), 1..9_usize)
            .prop_map(|(all, size)| all.chunks(size).map(<[Fact]>::to_vec).collect::<Vec<_>>());
        (Just(facts), batches)
    })
}

/// One step of a life with two devices, a server and a moderator.
#[derive(Debug, Clone)]
enum Event {
    Act(usize, Act),
    /// Send what is pending; between sending and the answer an act happens; the answer may be lost.
    Exchange {
        device: usize,
        limit: usize,
        meanwhile: Option<Act>,
        lost: bool,
    },
    Meet(usize, usize),
    Moderate(Day, Source, Option<manbo::Counts>),
    Release(Day, Source),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..2_usize, own_act()).prop_map(|(device, act)| Event::Act(device, act)),
        4 => (0..2_usize, 1..9_usize, prop::option::of(own_act()), prop::bool::weighted(0.2)).prop_map(
            |(device, limit, meanwhile, lost)| Event::Exchange { device, limit, meanwhile, lost }
        ),
        1 => (0..2_usize).prop_map(|from| Event::Meet(from, 1 - from)),
        1 => (any_day(), any_source(), any_value()).prop_map(|(d, s, to)| Event::Moderate(d, s, to)),
        1 => (any_day(), any_source()).prop_map(|(d, s)| Event::Release(d, s)),
    ]
}

fn knows(server: &Ledger, fact: &Fact) -> bool {
    match fact {
        Fact::Cell { day, source, register } => {
            let there = server.register(*day, source);
            there.join(*register) == there
        }
        Fact::Attended(day) => server.attended(*day),
    }
}

/// The promise of section 6: what the server does not know is pending, whatever got lost.
fn check_nothing_lost(device: &Ledger, server: &Ledger) -> Result<(), TestCaseError> {
    let pending = device.pending();
    prop_assert_eq!(pending.len(), device.pending_count());
    for fact in device.facts() {
        prop_assert!(knows(server, &fact) || pending.contains(&fact), "{:?} is lost", fact);
    }
    Ok(())
}

fn exchange(
    device: &mut Ledger,
    server: &mut Ledger,
    batch: &[Fact],
    meanwhile: Option<(&Act, Now)>,
) -> Ingested {
    let done = ingest(server, batch, NOT_KNOWN, policy(), now());
    if let Some((act, now)) = meanwhile {
        let _ = act.apply(device, now);
    }
    done
}

fn check_fence(device: &Ledger, sent: &[Fact]) -> Result<(), TestCaseError> {
    let mut answered = device.clone();
    let receipt = Receipt { accepted: sent.to_vec(), ..Receipt::default() };
    answered.apply_receipt(&receipt, now()).unwrap();
    let left: Vec<Fact> = device.pending().into_iter().filter(|fact| !sent.contains(fact)).collect();
    prop_assert_eq!(answered.pending(), left, "cleared exactly what is still as it was sent");
    prop_assert_eq!(answered.digest(), device.digest());
    Ok(())
}

fn live(
    event: &Event,
    today: Day,
    devices: &mut [Ledger; 2],
    server: &mut Ledger,
) -> Result<(), TestCaseError> {
    match event {
        Event::Act(device, act) => {
            let _ = act.apply(&mut devices[*device], Now::on(today));
        }
        Event::Exchange { device, limit, meanwhile, lost } => {
            let device = &mut devices[*device];
            let batch: Vec<Fact> = device.pending().into_iter().take(*limit).collect();
            let before = server.digest();
            let revision = server.revision();
            let meanwhile = meanwhile.as_ref().map(|act| (act, Now::on(today)));
            let done = exchange(device, server, &batch, meanwhile);
            prop_assert_eq!(server.revision() > revision, server.digest() != before);
            check_fence(device, &batch)?;
            if !lost {
                device.apply_receipt(&done.receipt, now()).unwrap();
            }
        }
        Event::Meet(from, into) => {
            for fact in devices[*from].facts() {
                let _ = devices[*into].apply(Operation::Merge(&fact), now()).unwrap();
            }
        }
        Event::Moderate(day, source, to) => {
            let correction = manbo::Correction { day: *day, source: *source, to: *to, reason: "report 7" };
            let _ = server.apply(Operation::Correct(&correction), now());
        }
        Event::Release(day, source) => {
            let _ = server.apply(Operation::Unpin(*day, *source), now());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn batches_of_any_shape_give_the_same_server((facts, batches) in any_batches()) {
        let mut once = server();
        let whole = ingest(&mut once, &facts, 0, policy(), now());
        prop_assert_eq!(whole.receipt.accepted.len(), facts.len());
        let mut parts = server();
        for batch in &batches {
            let (digest, revision) = (parts.digest(), parts.revision());
            let done = ingest(&mut parts, batch, revision, policy(), now());
            prop_assert_eq!(&done.receipt.accepted, batch);
            prop_assert_eq!(parts.revision() - revision, u64::from(parts.digest() != digest));
            prop_assert_eq!(done.receipt.revision, parts.revision());
        }
        prop_assert_eq!(parts.digest(), once.digest());
        prop_assert!(parts.timeline() == once.timeline());
        prop_assert_eq!(parts.pending_count(), 0, "a server owes nothing");
        prop_assert_eq!(parts.to_reread(), vec![]);

        let mut second = server();
        let answer = ingest(&mut parts, &[], 0, policy(), now());
        second.apply_receipt(&answer.receipt, now()).unwrap();
        prop_assert_eq!(second.digest(), parts.digest());
        prop_assert_eq!(second.pending_count(), 0);
        prop_assert_eq!(second.revision(), parts.revision());
    }

    #[test]
    fn every_item_gets_one_verdict(facts in prop::collection::vec(any_fact(), 1..30)) {
        let mut server = server();
        for batch in facts.chunks(4) {
            let done = ingest(&mut server, batch, NOT_KNOWN, policy(), now());
            let refused: Vec<Fact> = done.receipt.refused.iter().map(|refused| refused.fact).collect();
            prop_assert_eq!(done.receipt.accepted.len() + refused.len(), batch.len());
            for fact in batch {
                let accepted = done.receipt.accepted.contains(fact);
                prop_assert!(accepted || refused.contains(fact), "{:?} has no verdict", fact);
                prop_assert!(!accepted || knows(&server, fact));
            }
            for refused in &done.receipt.refused {
                // A client may not pin, nor run more than 4,096 epochs ahead of what the server has.
                let Fact::Cell { register: Register { epoch, .. }, .. } = refused.fact else {
                    return Err(TestCaseError::fail("attendance refused"));
                };
                prop_assert_eq!(refused.code, Code::EpochNotAllowed);
                prop_assert!(epoch % 2 == 1 || epoch > 4_096);
            }
        }
        let highest = server.cells().iter().map(|cell| cell.epoch).max().unwrap_or(0);
        prop_assert!(highest <= 4_096 && highest % 2 == 0);
    }

    #[test]
    fn nothing_is_lost_and_all_converge(
        events in prop::collection::vec((any_today(), any_event()), 1..50),
    ) {
        let mut server = server();
        let mut devices = [empty(&Rules::default()), empty(&Rules::default())];
        for (today, event) in &events {
            live(event, *today, &mut devices, &mut server)?;
            for device in &devices {
                check_nothing_lost(device, &server)?;
            }
        }
        for n in 0..4 {
            let device = &mut devices[n % 2];
            let batch = device.pending();
            let done = exchange(device, &mut server, &batch, None);
            prop_assert_eq!(&done.receipt.refused, &vec![]);
            device.apply_receipt(&done.receipt, now()).unwrap();
            prop_assert_eq!(device.pending(), vec![]);
        }
        for device in &devices {
            prop_assert_eq!(device.digest(), server.digest());
            prop_assert!(device.timeline() == server.timeline());
        }
    }
}
