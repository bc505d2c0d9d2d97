//! One target under libFuzzer: `MANBO_FUZZ` names it, the arguments are libFuzzer's own. See README.md.
#![no_main]

use std::sync::LazyLock;

use manbo_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MANBO_FUZZ").unwrap_or_default();
    let Some(target) = Target::named(&name) else {
        eprintln!(
            "error: MANBO_FUZZ names no target: `{name}`; there are {:?}",
            Target::ALL.map(Target::name)
        );
        std::process::exit(2);
    };
    target
});

libfuzzer_sys::fuzz_target!(init: LazyLock::force(&TARGET), |data: &[u8]| {
    TARGET.run(data);
});
