//! glommio where too little memory may be locked: a clear error, and no panic. A process of its own, since the limit is the
//! process's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use segcast_sysio::driver::{Driver, DriverConfig};
use segcast_sysio::probe::{self, IoKind};

#[test]
fn a_low_limit_is_named_by_probe_and_driver() {
    let maximum = getrlimit(Resource::Memlock).maximum;
    let low = Rlimit { current: Some(64 << 10), maximum };
    setrlimit(Resource::Memlock, low).expect("anyone may lower it");
    let probed = probe::choose(Some(IoKind::Glommio)).expect_err("64 KiB are too few");
    let made = Driver::new(IoKind::Glommio, Vec::new(), DriverConfig::EDGE).expect_err("likewise");
    for error in [probed, made] {
        let text = error.to_string();
        assert!(text.contains("RLIMIT_MEMLOCK is 64 KiB and glommio wants 512"), "{text}");
    }
}
