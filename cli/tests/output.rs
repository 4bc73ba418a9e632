//! What commands say when nobody listens (a closed pipe) or nothing can be written (a full device): their work is done all
//! the same, a result that is lost is an error of its own, and nothing panics.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use segcast_kit::process::{Edge, SEGMENT, World, fail, segcast, succeed};

/// Somewhere that takes nothing.
fn nowhere() -> [Stdio; 2] {
    let full = File::options().write(true).open("/dev/full").expect("full(4)");
    [closed(), full.into()]
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (_, writer) = io::pipe().expect("a pipe");
    writer.into()
}

/// Runs `command` with its standard output `nowhere`: it ends with 3 and says why.
fn lost(mut command: Command, nowhere: Stdio) {
    let output = command.stdout(nowhere).stderr(Stdio::piped()).spawn().expect("it starts");
    let output = output.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{command:?}: {said}");
    assert!(said.contains("could not write to standard output"), "{command:?}: {said}");
}

fn get(world: &World, edge: &Edge, grant: &str, out: &str, more: &[&str]) -> Command {
    let mut get = world.get(&[edge], &world.path(grant), out);
    get.args(more);
    get
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_after_the_work_is_done() {
    let world = World::new();
    let title = world.pack(3 * SEGMENT);
    let command = |arguments: &[&str]| {
        let mut command = segcast();
        command.args(arguments).current_dir(world.folder());
        command
    };
    for (number, (nowhere, again)) in nowhere().into_iter().zip(nowhere()).enumerate() {
        let (key, grant) = (format!("own{number}.key"), format!("lost{number}.grant"));
        lost(command(&["key", &key]), nowhere);
        assert!(world.path(&format!("own{number}.pub")).exists());
        let token = ["token", "--set", &title.set, "--keys", "keys", "--out", &grant];
        lost(command(&token), again);
        let mode = world.path(&grant).metadata().expect("a grant").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for (number, nowhere) in nowhere().into_iter().enumerate() {
        let pack = ["pack", "title", "--out", "store", "--keys", "keys", "--version"];
        let version = (number + 2).to_string();
        lost(command(&[&pack[..], &[&version]].concat()), nowhere);
    }
    for nowhere in nowhere() {
        lost(command(&["store", "list", "--store", "store"]), nowhere);
    }
    let edge = world.edge("127.0.0.1:0", "auto");
    for (number, nowhere) in nowhere().into_iter().enumerate() {
        let (out, more) = (format!("out{number}"), ["--json"]);
        lost(get(&world, &edge, "lost0.grant", &out, &more[..number]), nowhere);
        assert!(world.read(&out) == title.bytes);
    }
    for nowhere in nowhere() {
        let mut check = world.edge_command("store", "127.0.0.1:0", "auto");
        check.arg("--check");
        lost(check, nowhere);
    }
}

/// Some two seconds: a line of progress and warnings are due meanwhile.
#[test]
fn progress_that_nobody_reads_ends_no_fetch() {
    let world = World::new();
    let title = world.pack(25 * SEGMENT);
    let grant = world.grant(&title, &["--rate", "7000"]);
    let edge = world.edge("127.0.0.1:0", "auto");
    for (number, nowhere) in nowhere().into_iter().enumerate() {
        let out = format!("out{number}");
        let mut get = world.get(&[&edge], &grant, &out);
        let mut child = get.args(["--log", "trace"]).stderr(nowhere).spawn().expect("it starts");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert!(world.read(&out) == title.bytes);
    }
}

/// 2 MiB (4096 blocks of 512 bytes) are less than the title.
#[test]
fn a_limit_on_file_sizes_is_told_and_the_fetch_goes_on_once_it_is_raised() {
    let world = World::new();
    let title = world.pack(40 * SEGMENT);
    let edge = world.edge("127.0.0.1:0", "auto");
    let grant = world.grant(&title, &[]);
    let get = world.get(&[&edge], &grant, "out");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 4096; exec \"$@\"", "sh"]);
    limited.arg(get.get_program()).args(get.get_args());
    let said = fail(&mut limited, 3);
    assert!(said.contains("cannot grow") && said.contains("ulimit -f"), "{said}");
    assert!(world.path("out.part").exists());
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == title.bytes);
}

#[test]
fn a_title_whose_file_name_is_too_long_is_packed_by_another() {
    use std::os::unix::ffi::OsStringExt;
    let world = World::new();
    let name = std::ffi::OsString::from_vec(vec![0xFF; 200]);
    std::fs::write(world.folder().join(&name), "title").expect("a title");
    let pack = || {
        let mut pack = segcast();
        pack.current_dir(world.folder()).arg("pack").arg(&name);
        pack.args(["--out", "store", "--keys", "keys"]);
        pack
    };
    let said = fail(&mut pack(), 2);
    assert!(said.contains("--name"), "{said}");
    succeed(pack().args(["--name", "short"]));
}

#[test]
fn a_token_for_a_set_that_was_never_packed_is_refused_for_its_keys() {
    let world = World::new();
    world.pack(3);
    let mut token = segcast();
    token.current_dir(world.folder()).args(["token", "--set", &"ab".repeat(16)]);
    fail(token.args(["--keys", "keys", "--out", "grant"]), 5);
}
