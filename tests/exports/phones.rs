//! What only one phone knows does not come to another one.

use manbo::{
    CellView, CounterReading, Counts, Credit, Day, Fact, ImportError, ImportRule, Imported, Now, Operation,
    Options, Reading, Register, Source, Store, wire,
};

use super::lives::{export, folder};

const USER: &str = "ana";

/// What the phone `phone-1` exported before exports said on which phone they were written: the first day was read
/// there, also by a counter; the second day's watch rose elsewhere and was read again; a deletion was ignored.
const EARLIER: &str = r#"{"manbo_export":1,"generation":0,"revision":0,"transaction":0,"history_kept":false,"history_from_ms":null,"last_change_ms":null}
{"source":{"name":"chip","read_by_device":true}}
{"source":{"name":"watch","read_by_device":true}}
{"cell":{"day":"2022-10-01","source":"chip","epoch":0,"recorded":250,"manual":0,"read_here":true,"reread":0,"offset_minutes":null,"pending_since_ms":1665403200000,"parked":null}}
{"cell":{"day":"2022-10-01","source":"watch","epoch":0,"recorded":8500,"manual":0,"read_here":true,"reread":0,"offset_minutes":540,"pending_since_ms":1665403200000,"parked":null}}
{"cell":{"day":"2022-10-02","source":"chip","epoch":0,"recorded":3,"manual":0,"read_here":false,"reread":2,"offset_minutes":null,"pending_since_ms":null,"parked":null}}
{"cell":{"day":"2022-10-02","source":"watch","epoch":2,"recorded":17089,"manual":0,"read_here":true,"reread":1,"offset_minutes":null,"pending_since_ms":1665403200000,"parked":null}}
{"attended":{"day":"2022-10-01","pending_since_ms":1665403200000,"parked":null}}
{"baseline":{"source":"chip","boot":"7","count":350}}
{"own_count":{"day":"2022-10-01","source":"chip","count":250}}
{"remark":{"day":"2022-10-02","source":"chip","at_ms":1665403200000,"event":{"kind":"deletion_ignored","left":null,"ignored":"not_read_here"}}}
{"end":{"lines":11,"digest":"7b0a7b24dbd7eed43b954d62e126a304"}}
"#;

fn now() -> Now {
    Now::on("2022-10-10".parse().unwrap())
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

/// A store of a phone.
struct Phone {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Phone {
    fn new(id: Option<&str>) -> Phone {
        let folder = folder();
        let options = id.map_or(Options::new(), |id| Options::new().install_id(id));
        let store = Store::open(folder.path().join("steps.db"), &options).unwrap();
        Phone { store, _folder: folder }
    }

    fn with(id: Option<&str>, file: &[u8]) -> (Phone, Imported) {
        let mut phone = Phone::new(id);
        let told = phone.store.import(USER, &mut &file[..], now()).unwrap();
        (phone, told)
    }

    fn apply(&mut self, operation: &Operation<'_>) -> Option<Credit> {
        self.store.transact(USER, |ledger| Ok(ledger.apply(*operation, now())?.credit)).unwrap()
    }

    fn count(&mut self, on: &str, count: u32) -> Option<Credit> {
        let reading = CounterReading { day: day(on), source: source("chip"), boot: "7", count };
        self.apply(&Operation::Count(&reading))
    }

    fn register(&mut self, on: &str, name: &str) -> (u16, Option<u32>) {
        let register = self.store.read(USER).unwrap().register(day(on), &source(name));
        (register.epoch, register.counts.map(|counts| counts.recorded))
    }

    fn cells(&mut self) -> Vec<CellView> {
        self.store.read(USER).unwrap().cells()
    }

    fn export(&mut self) -> String {
        String::from_utf8(export(&mut self.store, USER)).unwrap()
    }

    /// The ledger of [`EARLIER`], lived on this phone.
    fn lived(id: Option<&str>) -> Phone {
        let mut phone = Phone::new(id);
        let [first, second] = ["2022-10-01", "2022-10-02"].map(day);
        let seoul = manbo::UtcOffset::from_minutes(540).unwrap();
        let elsewhere = |name: &str, epoch: u16, steps: u32| Fact::Cell {
            day: second,
            source: source(name),
            register: Register { epoch, counts: Some(Counts::new(steps, 0)) },
        };
        phone.apply(&Operation::Read(&Reading::new(first, source("watch"), 8_500).with_offset(seoul)));
        phone.apply(&Operation::Attend(first));
        phone.count("2022-10-01", 100);
        phone.count("2022-10-01", 350);
        phone.apply(&Operation::Receive(&elsewhere("watch", 2, 8_003)));
        phone.apply(&Operation::Read(&Reading::new(second, source("watch"), 17_089)));
        phone.apply(&Operation::Receive(&elsewhere("chip", 0, 3)));
        phone.apply(&Operation::Delete(&manbo::Deletion { day: second, source: source("chip"), left: None }));
        phone
    }
}

/// The file with other text in it, and an end that fits.
fn sealed(file: &str, from: &str, to: &str) -> String {
    assert!(file.contains(from), "{from}");
    let changed = file.replacen(from, to, 1);
    let body = &changed[..changed.rfind("{\"end\":").unwrap()];
    let digest = wire::digest(body.as_bytes());
    format!("{body}{{\"end\":{{\"lines\":{},\"digest\":\"{digest}\"}}}}\n", body.lines().count())
}

/// What is to hold where the ledger of [`EARLIER`] came from another phone.
fn knows_nothing_of_the_other_phone(phone: &mut Phone, told: Imported) {
    assert!(told.from_other_device);
    assert_eq!((told.lines.cells, told.lines.attended, told.lines.own_counts), (4, 1, 0));
    let marks: Vec<(bool, bool)> = phone.cells().iter().map(|cell| (cell.read_here, cell.reread)).collect();
    // The watch of the second day has an epoch that rose outside; no deletion was ignored here.
    assert_eq!(marks, [(false, false), (false, false), (false, false), (false, true)]);
    let ledger = phone.store.read(USER).unwrap();
    assert_eq!(ledger.pending_count(), 4, "what the server does not know yet stays pending");
    assert_eq!(ledger.cells()[1].offset_minutes, Some(540));
    assert!(ledger.explain(day("2022-10-02")).to_string().contains("deletion"));
    assert_eq!(ledger.to_reread(), [], "this phone has read nothing yet");
    // A full reading lowers nothing that was not read here.
    phone.apply(&Operation::Read(&Reading::new(day("2022-10-01"), source("watch"), 4_000).full()));
    assert_eq!(phone.register("2022-10-01", "watch"), (0, Some(8_500)));
    assert_eq!(phone.store.read(USER).unwrap().to_reread(), [(day("2022-10-02"), source("watch"))]);
    // A counter of another chip: its first reading here credits nothing, and the count starts from the cell.
    assert_eq!(phone.count("2022-10-01", 50_000), Some(Credit::First));
    phone.count("2022-10-01", 50_010);
    assert_eq!(phone.register("2022-10-01", "chip"), (0, Some(260)));
}

#[test]
fn an_export_from_before_phones_were_told_apart_is_that_of_another_phone() {
    for id in [Some("phone-1"), Some("phone-2"), None] {
        let (mut phone, told) = Phone::with(id, EARLIER.as_bytes());
        knows_nothing_of_the_other_phone(&mut phone, told);
    }
    // And it is read as strictly as ever.
    let mut phone = Phone::new(Some("phone-1"));
    for (from, to) in [
        ("\"boot\":\"7\"", "\"boot\":\"\""),
        ("\"count\":250", "\"count\":300001"),
        ("{\"baseline\":{\"source\":\"chip\"", "{\"baseline\":{\"source\":\"bike\""),
    ] {
        let refused = phone.store.import(USER, &mut sealed(EARLIER, from, to).as_bytes(), now());
        assert!(matches!(refused, Err(ImportError::Line { .. })), "{to}: {refused:?}");
    }
    assert!(phone.store.users().unwrap().is_empty());
}

#[test]
fn what_only_one_phone_knows_comes_back_to_it_and_to_no_other() {
    let file = Phone::lived(Some("phone-1")).export();
    let (mut other, told) = Phone::with(Some("phone-2"), file.as_bytes());
    knows_nothing_of_the_other_phone(&mut other, told);
    let (mut unknown, told) = Phone::with(None, file.as_bytes());
    knows_nothing_of_the_other_phone(&mut unknown, told);

    let (mut same, told) = Phone::with(Some("phone-1"), file.as_bytes());
    assert!(!told.from_other_device);
    assert_eq!(told.lines.own_counts, 1);
    assert_eq!(same.export(), file);
    assert_eq!(same.cells(), Phone::lived(Some("phone-1")).cells());
    assert_eq!(same.store.read(USER).unwrap().to_reread().len(), 2);
    same.apply(&Operation::Read(&Reading::new(day("2022-10-01"), source("watch"), 4_000).full()));
    assert_eq!(same.register("2022-10-01", "watch"), (2, Some(4_000)), "it was read here");
    // Its own count of the day goes on, below what came from elsewhere meanwhile.
    let register = Register { epoch: 0, counts: Some(Counts::new(300, 0)) };
    same.apply(&Operation::Receive(&Fact::Cell { day: day("2022-10-01"), source: source("chip"), register }));
    same.count("2022-10-01", 400);
    same.count("2022-10-01", 410);
    assert_eq!(same.register("2022-10-01", "chip"), (0, Some(300)));
    same.count("2022-10-01", 460);
    assert_eq!(same.register("2022-10-01", "chip"), (0, Some(310)));
}

#[test]
fn a_store_that_does_not_know_its_phone_exports_nothing_that_only_a_phone_knows() {
    let mut lived = Phone::lived(None);
    let file = lived.export();
    for word in
        ["installation", "baseline", "own_count", "\"read_here\":true", "\"reread\":1", "\"reread\":2"]
    {
        assert!(!file.contains(word), "{word}");
    }
    assert!(!file.contains("\"read_by_device\":true"));
    for id in [None, Some("phone-1")] {
        let (mut phone, told) = Phone::with(id, file.as_bytes());
        knows_nothing_of_the_other_phone(&mut phone, told);
    }
    let (mut unknown, _) = Phone::with(None, file.as_bytes());
    assert_eq!(unknown.export(), file);
    // It exports no less of what is true everywhere.
    let (mut known, _) = Phone::with(None, Phone::lived(Some("phone-1")).export().as_bytes());
    assert_eq!(known.export(), file);
}

/// Where a counter stood is of the moment: what it gave after an export was credited by then, and an import that
/// went back to it would credit that once more, on whatever day it is.
#[test]
fn steps_that_were_counted_after_an_export_are_not_credited_again_by_importing_it() {
    let mut phone = Phone::lived(Some("phone-1"));
    let file = phone.export();
    assert_eq!(phone.count("2022-10-03", 5_350), Some(Credit::Steps(5_000)));
    let (mut restored, _) = Phone::with(Some("phone-1"), file.as_bytes());
    assert_eq!(restored.count("2022-10-04", 5_360), Some(Credit::First));
    assert_eq!(restored.count("2022-10-04", 5_380), Some(Credit::Steps(20)));
    assert_eq!(restored.register("2022-10-04", "chip"), (0, Some(20)));
}

#[test]
fn only_who_knows_its_id_can_say_that_a_file_is_of_a_phone() {
    let mut phone = Phone::lived(Some("phone-1"));
    let file = phone.export();
    assert!(!file.contains("phone-1"));
    let header =
        |file: &str| -> serde_json::Value { serde_json::from_str(file.lines().next().unwrap()).unwrap() };
    let installation = header(&file)["installation"].clone();
    let [salt, hash] = ["salt", "hash"].map(|name| installation[name].as_str().unwrap().to_owned());
    assert_eq!((salt.len(), hash.len()), (64, 32));
    // Two people of one phone: neither part tells that it is one.
    let opened = Operation::Attend(day("2022-10-01"));
    let _ = phone.store.transact("ben", |ledger| Ok(ledger.apply(opened, now())?)).unwrap();
    let other = header(&String::from_utf8(export(&mut phone.store, "ben")).unwrap())["installation"].clone();
    assert!(other["salt"] != salt && other["hash"] != hash);

    let (_, told) = Phone::with(Some("phone-1"), file.as_bytes());
    assert!(!told.from_other_device);
    let zeros = "0".repeat(32);
    for (from, to) in [(hash.as_str(), zeros.as_str()), (salt.as_str(), "salt"), (hash.as_str(), "")] {
        let (mut phone, told) = Phone::with(Some("phone-1"), sealed(&file, from, to).as_bytes());
        assert!(told.from_other_device, "{to}");
        assert!(phone.cells().iter().all(|cell| !cell.read_here), "{to}");
    }
    let member = format!(",\"installation\":{{\"salt\":\"{salt}\",\"hash\":\"{hash}\"}}");
    for (to, rule) in [
        (",\"installation\":null".to_owned(), ImportRule::NotCanonical),
        (member.replace("hash", "sum"), ImportRule::NotAnExport),
        (member.replace("\"}", "\",\"more\":1}"), ImportRule::NotAnExport),
        (",\"installation\":\"phone-1\"".to_owned(), ImportRule::NotAnExport),
        (format!("{member}{member}"), ImportRule::NotAnExport),
    ] {
        let mut phone = Phone::new(Some("phone-1"));
        let refused = phone.store.import(USER, &mut sealed(&file, &member, &to).as_bytes(), now());
        let Err(ImportError::Line { line: 1, rule: found }) = refused else { panic!("{to}: {refused:?}") };
        assert_eq!(found, rule, "{to}");
    }
}
