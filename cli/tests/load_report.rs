//! What `segcast load` says of a run against a real edge: verdict, exit code, stored result, reports, views.

use std::fs;
use std::process::{Command, Stdio};

use segcast_kit::metrics::metric;
use segcast_kit::process::{
    Edge, SEGMENT, Title, World, fail, interrupt, kill, output, segcast, succeed, wait_until,
};
use serde_json::Value;

/// A send lag that no machine of tests reaches, and all that other programs can use of it: verdicts here must not hang on how
/// busy it is.
const ANY_LAG: [&str; 2] = ["--lag-limit", "10m"];
const ANY_OTHERS: [&str; 2] = ["--others-limit", "100%"];

struct Setup {
    world: World,
    title: Title,
    edge: Edge,
}

impl Setup {
    fn new() -> Self {
        let world = World::new();
        let title = world.pack(20 * SEGMENT);
        let edge = world.edge("127.0.0.1:0", "auto");
        Self { world, title, edge }
    }

    /// `segcast load` for a second and a half with light load and these further arguments.
    fn load(&self, more: &[&str]) -> Command {
        let mut command = segcast();
        command
            .args(["load", &self.edge.address, "--edge-key", &self.edge.key])
            .args(["--set", &self.title.set, "--seed", "7", "--sessions", "5"])
            .args(["--keys".as_ref(), self.world.path("keys").as_os_str()])
            .args(more);
        command
    }

    fn light(&self, more: &[&str]) -> Command {
        let mut command = self.load(&["--phase", "ramp=500ms@100/s", "--phase", "steady=1s@150/s"]);
        if !more.contains(&"--lag-limit") {
            command.args(ANY_LAG);
        }
        if !more.contains(&"--others-limit") {
            command.args(ANY_OTHERS);
        }
        command.args(more);
        command
    }

    fn file(&self, name: &str) -> String {
        self.world.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn result(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.world.path(name)).expect("the result");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let schema = include_str!("../../client/load/schema/segcast-load-1.schema.json");
        let schema = serde_json::from_str(schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        value
    }
}

#[test]
fn a_run_that_meets_its_objectives_is_told_in_every_form() {
    let setup = Setup::new();
    let [json, hlog, html] = ["r.json", "r.hlog", "r.html"].map(|name| setup.file(name));
    let pid = setup.edge.child.id().to_string();
    let text =
        succeed(setup.light(&["--slo", "ttlb.p50<=10s", "--slo", "steady:incomplete<=0%"]).args([
            "--json",
            &json,
            "--hlog",
            &hlog,
            "--html",
            &html,
            "--server-pid",
            &pid,
        ]));
    assert!(text.starts_with("PASSED: 2 of 2 objectives met · LAB"), "{text}");
    let result = setup.result("r.json");
    assert_eq!(result["verdict"], "passed");
    let all = &result["figures"]["valid"]["all"];
    assert_eq!(all["ledger"]["remainder"], 0);
    assert!(all["ledger"]["complete"].as_u64() > Some(100), "{all}");
    assert!(all["wire"]["data_bytes"].as_u64() > Some(100 * SEGMENT as u64), "{all}");
    let phases = result["figures"]["valid"]["phases"].as_array().expect("phases");
    assert_eq!(
        phases.iter().map(|p| p["name"].as_str()).collect::<Vec<_>>(),
        [Some("ramp"), Some("steady")]
    );
    let server = &result["server"]["spans"][0];
    assert_eq!(
        (&server["name"], result["server"]["problems"].as_array().map(Vec::len)),
        (&"all".into(), Some(0))
    );
    assert!(server["process"]["rss_bytes"].as_u64() > Some(0), "{server}");
    assert!(fs::read_to_string(&hlog).expect("the log").contains("Tag=start.ttlb.response,"));
    let page = fs::read_to_string(&html).expect("the page");
    assert!(page.contains("Passed: 2 of 2 objectives met") && page.contains("<svg"), "no report");

    let again = setup.file("again.html");
    succeed(segcast().args(["load", "report", &json, "--html", &again]));
    assert_eq!(fs::read_to_string(&again).expect("the page"), page);
    assert_eq!(succeed(segcast().args(["load", "report", &json])), text);
}

/// The counters of a real edge, by what they rose in each phase and in all.
#[test]
fn an_edges_own_counters_join_the_result() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    let (edge, admin) = world.edge_with_metrics("store", &["--shards", "2"]);
    let setup = Setup { world, title, edge };
    let (url, json) = (format!("http://{admin}/metrics"), setup.file("r.json"));
    let text = succeed(&mut setup.light(&["--server-metrics", &url, "--json", &json]));
    let result = setup.result("r.json");
    let server = &result["server"];
    assert_eq!(server["metrics_url"], url);
    assert_eq!(server["problems"].as_array().map(Vec::len), Some(0), "{server}");
    let spans = server["spans"].as_array().expect("spans");
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str()).collect();
    assert_eq!(names, [Some("all"), Some("ramp"), Some("steady")]);
    let rise = |span: &Value, name: &str| {
        span["counters"][format!("segcast_edge_{name}_total")].as_f64().unwrap_or(0.0) as u64
    };
    for (name, least) in
        [("requests", 100), ("data_bytes", 100 * SEGMENT as u64), ("sessions_opened", 5)]
    {
        let all = rise(&spans[0], name);
        assert!(all >= least, "{name}: {server}");
        assert_eq!(all, rise(&spans[1], name) + rise(&spans[2], name), "{name}: {server}");
        assert!(all <= metric(&admin, &format!("segcast_edge_{name}_total")), "{name}: {server}");
    }
    assert!(rise(&spans[0], "turns") > 0 && spans[0]["process"].is_null(), "{server}");
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn each_way_to_end_has_its_exit_code() {
    let setup = Setup::new();
    let end = |more: &[&str], code: i32| {
        let found = output(&mut setup.light(more));
        assert_eq!(found.status.code(), Some(code), "{more:?}: {found:?}");
        String::from_utf8(found.stdout).expect("UTF-8")
    };
    // Missed: by value, without samples, and although there are too few to tell.
    assert!(end(&["--slo", "ttlb.max<=1us"], 10).starts_with("FAILED: 0 of 1 objectives met"));
    end(&["--slo", "rebuffer<=100%"], 10);
    end(&["--slo", "ttlb.p99.99<=1us"], 10);
    // Too few to judge, and what it would take.
    let few = end(&["--slo", "ttlb.p99.99<=600s"], 11);
    assert!(
        few.starts_with("INCONCLUSIVE: 0 of 1 objectives met; not judged: ttlb.p99.99"),
        "{few}"
    );
    assert!(few.contains("it needs 100000 samples, ") && !few.contains("VOID"), "{few}");
    end(&["--slo", "ttlb.p99.99<=600s", "--slo", "ttlb.max<=1us"], 10);
    // No send is so early: the generator is the bottleneck, and that beats a missed objective.
    let void = end(&["--slo", "ttlb.max<=1us", "--lag-limit", "0"], 11);
    assert!(void.starts_with("INCONCLUSIVE: the generator was the bottleneck"), "{void}");
    assert!(void.contains("VOID, not the server's"), "{void}");
}

/// A loop of the shell takes a processor, or what it gets of one.
#[test]
fn what_is_missed_beside_other_programs_is_not_the_servers() {
    let setup = Setup::new();
    let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell");
    let json = setup.file("busy.json");
    let mut load =
        setup.light(&["--others-limit", "0%", "--slo", "ttlb.max<=1us", "--json", &json]);
    let found = output(&mut load);
    kill(&mut busy);
    assert_eq!(found.status.code(), Some(11), "{found:?}");
    let text = String::from_utf8(found.stdout).expect("UTF-8");
    assert!(
        text.starts_with("INCONCLUSIVE: 0 of 1 objectives met; not judged: ttlb.max"),
        "{text}"
    );
    assert!(text.contains("BUSY BOX: other programs used "), "{text}");
    let result = setup.result("busy.json");
    assert!(result["others"]["cpu_s"].as_f64() > Some(0.0), "{}", result["others"]);
    assert!(result["figures"].get("valid").is_none() && result["objectives"][0]["met"].is_null());
}

#[test]
fn wrong_arguments_are_known_before_the_run() {
    let setup = Setup::new();
    let error = fail(&mut setup.light(&["--slo", "tfb.p99<=20ms"]), 2);
    assert!(error.contains("column 1: no metric \"tfb\""), "{error}");
    let error = fail(&mut setup.light(&["--slo", "rest:loss<=1%"]), 2);
    assert!(error.contains("no phase \"rest\": it has ramp, steady"), "{error}");
    let error = fail(&mut setup.light(&["--server-pid", "4294967295"]), 2);
    assert!(error.contains("--server-pid"), "{error}");
    let error = fail(&mut setup.light(&["--server-metrics", "http://127.0.0.1:1/metrics"]), 4);
    assert!(error.contains("--server-metrics"), "{error}");
    let error = fail(&mut setup.light(&["--progress", "tui"]), 2);
    assert!(error.contains("no terminal"), "{error}");
    fail(&mut setup.light(&["--json", "/nonexistent/r.json"]), 3);
    fail(segcast().args(["load", "report", "/nonexistent/r.json"]), 3);
    let schema = succeed(segcast().args(["load", "report", "--schema"]));
    assert_eq!(schema, include_str!("../../client/load/schema/segcast-load-1.schema.json"));
}

#[test]
fn lines_tell_each_second() {
    let setup = Setup::new();
    let found = output(&mut setup.light(&["--progress", "json"]));
    assert!(found.status.success(), "{found:?}");
    let lines = String::from_utf8(found.stderr).expect("UTF-8");
    let objects: Vec<Value> = lines.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    assert!(objects.len() >= 2, "{lines}");
    assert_eq!(objects[0]["phases"], 2);
    let found = output(&mut setup.light(&["--progress", "plain"]));
    assert!(String::from_utf8_lossy(&found.stderr).contains("/s intended, "), "{found:?}");
}

/// script(1) gives the program a terminal; the same seed offers the same with a screen and without.
#[test]
fn a_screen_changes_no_figures_and_gives_the_terminal_back() {
    let setup = Setup::new();
    let [plain, tui] = ["plain.json", "tui.json"].map(|name| setup.file(name));
    let mut bare = setup.light(&["--progress", "none", "--json", &plain]);
    succeed(&mut bare);
    let screen = setup.light(&["--progress", "tui", "--json", &tui]);
    let line: Vec<String> = std::iter::once(screen.get_program())
        .chain(screen.get_args())
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    let typescript = setup.file("typescript");
    let shown = Command::new("script")
        .args(["--quiet", "--return", "--command", &line.join(" "), &typescript])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("script(1) of util-linux is there");
    assert!(shown.success(), "{shown}");
    let typescript = String::from_utf8_lossy(&fs::read(&typescript).expect("it")).into_owned();
    let (enter, leave) = ("\x1b[?1049h", "\x1b[?1049l");
    let (entered, left) = (typescript.find(enter), typescript.rfind(leave));
    assert!(entered.is_some() && entered < left, "no screen: {typescript:?}");
    assert!(typescript.rfind("\x1b[?25h") > typescript.rfind("\x1b[?25l"), "no cursor");
    assert!(typescript[left.unwrap_or(0)..].contains("MEASURED"), "{typescript:?}");
    let (plain, tui) = (setup.result("plain.json"), setup.result("tui.json"));
    assert_eq!(plain["identity"]["plan_sha256"], tui["identity"]["plan_sha256"]);
    let intended = |result: &Value| {
        result["figures"]
            .as_object()
            .and_then(|f| f.values().next()?["all"]["ledger"]["intended"].as_u64())
    };
    assert_eq!(intended(&plain), intended(&tui));
    assert!(intended(&plain) > Some(100));
}

#[test]
fn ctrl_c_stores_what_was_measured_so_far() {
    let setup = Setup::new();
    let json = setup.file("partial.json");
    let mut command = setup.load(&["--duration", "1h", "--progress", "json", "--json", &json]);
    let log = setup.file("lines");
    command.stderr(fs::File::create(&log).expect("a file"));
    let child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    wait_until("two seconds of load", || {
        fs::read_to_string(&log).is_ok_and(|text| text.matches("\"second\":{").count() >= 2)
    });
    interrupt(&child);
    let found = child.wait_with_output().expect("it ends");
    assert_eq!(found.status.code(), Some(130), "{found:?}");
    let text = String::from_utf8(found.stdout).expect("UTF-8");
    assert!(text.lines().next().is_some_and(|line| line.contains("PARTIAL: stopped")), "{text}");
    let result = setup.result("partial.json");
    assert!(result["extent"]["partial"]["why"].is_string(), "{}", result["extent"]);
}
