//! The admin port over real connections.

mod lint;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crossbeam::channel::bounded;

use super::*;

fn get(address: SocketAddr, path: &str) -> String {
    get_as(address, path, "*/*")
}

fn get_as(address: SocketAddr, path: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: edge\r\nAccept: {accept}\r\n\r\n").expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer
}

fn start(shards: usize) -> (Arc<Board>, Side, SocketAddr) {
    let board = Arc::new(Board::new(shards));
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let side = Side::start(&board, bounded(1).0, Some(listener), None).expect("start");
    let address = side.address().expect("address");
    (board, side, address)
}

#[test]
fn readiness_and_health_follow_the_board() {
    let (board, _side, address) = start(1);
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
    board.set_ready(0);
    board.set_store_open();
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    board.set_failed();
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 503"));
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    let none = get(address, "/multicast");
    assert!(none.starts_with("HTTP/1.1 404") && none.contains("begins one"), "{none}");
}

#[test]
fn metrics_show_the_sum_of_all_shards() {
    let (board, _side, address) = start(2);
    let mut now = [0; crate::metric::VALUES];
    now[crate::metric::Metric::MailStray as usize] = 3;
    for shard in 0..2 {
        board.publish(shard, &now, &mut [0; crate::metric::VALUES]);
    }
    let text = get(address, "/metrics");
    assert!(text.contains("\nsegcast_edge_mail_total{kind=\"stray\"} 6\n"), "{text}");
    assert!(text.contains("\nsegcast_edge_mail_total{kind=\"handoff\"} 0\n"), "{text}");
    assert!(text.contains("\nsegcast_edge_shards 2\n"), "{text}");
    assert!(text.contains("\nsegcast_edge_major_faults_total "), "{text}");
}

fn metrics_as(address: SocketAddr, accept: &str) -> (String, String) {
    let answer = get_as(address, "/metrics", accept);
    let (head, page) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), page.to_owned())
}

#[test]
fn a_scraper_gets_the_format_that_it_prefers() {
    let (_board, _side, address) = start(1);
    let (head, page) = metrics_as(address, "text/plain;version=0.0.4");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(
        page.contains("\n# TYPE segcast_edge_turns_total counter\nsegcast_edge_turns_total 0\n")
    );
    let (head, page) = metrics_as(address, "application/openmetrics-text, text/plain;q=0.5");
    assert!(head.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0;"));
    assert!(page.contains("\n# TYPE segcast_edge_turns counter\nsegcast_edge_turns_total 0\n"));
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[test]
fn prometheus_finds_nothing_to_say_about_the_names() {
    let (board, _side, address) = start(1);
    board.set_io("ring");
    let (_, page) = metrics_as(address, "text/plain;version=0.0.4");
    assert_eq!(lint::findings(&page), Vec::<String>::new());
    assert!(page.contains("\nprocess_start_time_seconds 1"), "{page}");
}

fn half_a_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: edge\r\n").expect("send");
    stream
}

/// Connections that were ended for either reason.
fn ended(address: SocketAddr) -> u64 {
    let name = "segcast_edge_admin_connections_ended_total{";
    let text = get(address, "/metrics");
    let values = text.lines().filter(|line| line.starts_with(name));
    values.map(|line| line.rsplit(' ').next().expect("value").parse::<u64>().expect("number")).sum()
}

#[test]
fn half_sent_requests_keep_no_health_check_waiting() {
    let (_board, _side, address) = start(1);
    let mut half = Vec::new();
    for _ in 0..8 {
        half.extend((0..50).map(|_| half_a_request(address)));
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    }
    let stay = limits::ADMIN_CONNECTIONS_PER_PEER as u64;
    assert!(ended(address) >= half.len() as u64 - stay);
}

#[test]
fn a_request_that_does_not_come_ends_its_connection() {
    let (_board, _side, address) = start(1);
    let mut answer = Vec::new();
    half_a_request(address).read_to_end(&mut answer).expect("the end");
    assert_eq!((answer.len(), ended(address)), (0, 1));
}

#[test]
fn the_end_of_the_thread_is_reported() {
    let (board, (reports, ended)) = (Arc::new(Board::new(1)), bounded(1));
    drop(Side::start(&board, reports, None, None).expect("start"));
    let Ok(Report::Ended { thread, failure }) = ended.recv() else { panic!("no report") };
    assert_eq!((&*thread, failure), ("segcast-side", None));
}

#[tokio::test]
async fn a_task_that_panics_is_the_end_of_the_thread() {
    let mut tasks = JoinSet::new();
    tasks.spawn(std::future::pending());
    tasks.spawn(async { panic!("as asked for") });
    let failure = run(tasks, &AtomicBool::new(false)).await.expect("a failure");
    assert!(failure.contains("panicked"), "{failure}");
}
