//! Into OpenStack Swift and back out of it.

use crate::support::{Counted, Keys, SETTLED, logs, start, sums, swift, talk, talkers, to_bucket};
use netns_tests::Plan;
use std::thread;

#[test]
fn openstack_swift_holds_what_the_switch_counted() {
    if let Some(reason) = swift::absent() {
        return println!("skipped: {reason}");
    }
    let swift = swift::Swift::start();
    let keys = Keys::new(swift::USER, swift::KEY);
    let place = format!("s3://{}/lab", swift::CONTAINER);
    let plan = talkers(Plan::new().no_loggers())
        .top(&keys.top(&format!("http://127.0.0.1:{}", swift.port)))
        .logger(&to_bucket("seconds", &place))
        .logger(
            &to_bucket("parquet", &format!("s3://{}/columns", swift::CONTAINER))
                .replace("1s", "2s, log_format: PARQUET, compression_type: ZSTD"),
        );
    let mut lab = start(plan);
    for _ in 0..3 {
        talk(lab.guest("a"), lab.guest("b"));
        thread::sleep(SETTLED);
    }
    let counted = Counted::of(&lab);
    lab.end();
    for place in [place, format!("s3://{}/columns", swift::CONTAINER)] {
        let rows = logs(&lab, &place);
        counted.assert_logged(&place, &sums(&lab, &rows));
    }
}
