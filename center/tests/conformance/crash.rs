//! Instances, and the database itself, are killed at any moment: the books balance, and no answer that a client got is
//! missing.
//!
//! The instance is this program, started again with [`WORKER`] in its environment: it orders, validates and gives back
//! without end, and prints each answer once it has it. After each kill another instance is asked the same with the same
//! keys, and must answer the same.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use segcast_api::catalogue::OfferKind;
use segcast_api::orders::{OrderRequest, RefundRequest};
use segcast_api::tickets::ValidationRequest;
use segcast_api::value::Id;
use segcast_center::app::Outcome;
use segcast_center::db::DbError;
use segcast_center::service::{Guard, orders, refunds, validations};
use segcast_kit::needs;
use segcast_kit::process::kill;
use segcast_kit::process::postgres::Postgres;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world::{Asker, World, keyed};

/// The variable that makes this program a worker: JSON of a [`Work`].
const WORKER: &str = "SEGCAST_TEST_WORKER";

/// What a worker works with.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Work {
    url: String,
    customer: u64,
    offer: Id,
    device: Id,
    round: usize,
}

/// One act.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Act {
    Order(OrderRequest),
    Validate(ValidationRequest),
    Refund(Id, RefundRequest),
}

/// What a worker prints: the act, its key, and the answer as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    act: Act,
    answer: Value,
}

/// Does an act as the customer; the answer as JSON, or the code of the refusal.
async fn act(asker: &Asker, key: &str, act: &Act) -> Result<Value, DbError> {
    fn json<T: Serialize>(outcome: Outcome<T>) -> Value {
        match outcome {
            Outcome::Done(answer) => serde_json::to_value(answer).expect("JSON"),
            Outcome::Refused(problem) => problem.code.as_str().into(),
        }
    }
    let (app, customer): (_, _) = (&asker.app, &asker.customer);
    let guard: Guard = keyed(key);
    Ok(match act.clone() {
        Act::Order(request) => json(orders::order(app, customer, &guard, request).await?),
        Act::Validate(request) => {
            json(validations::validate(app, customer, &guard, request).await?)
        }
        Act::Refund(order, request) => {
            json(refunds::refund(app, customer, &guard, order, request).await?)
        }
    })
}

/// Works without end, if this program was started for that.
pub(crate) fn work_if_asked() {
    let Ok(work) = std::env::var(WORKER) else { return };
    let work: Work = serde_json::from_str(&work).expect("work");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let asker = Asker::open(&work.url, work.customer).await;
        let hands = (0..3).map(|hand| toil(&asker, &work, hand));
        futures_util::future::join_all(hands).await;
    });
}

/// Orders a rental for two plays; then plays it twice, or gives it back, or does both at once.
async fn toil(asker: &Asker, work: &Work, hand: usize) {
    for turn in 0.. {
        let key =
            |what: &str| format!("crash {what} {} {hand} {turn:08}", work.round).replace(' ', "-");
        let order = Act::Order(OrderRequest { offer: work.offer });
        let answer = until_answered(asker, &key("order"), order).await;
        let (ticket, order) = (answer["ticket"].clone(), answer["order"]["id"].clone());
        let Ok(order) = serde_json::from_value(order) else { continue };
        let reason = "no time".parse().expect("a reason");
        let refund = Act::Refund(order, RefundRequest { amount: None, reason });
        let validate = |ticket: &Value| {
            let ticket = serde_json::from_value(ticket["ticket"].clone()).expect("a ticket");
            Act::Validate(ValidationRequest { ticket, device: work.device })
        };
        let first = async {
            let answer = until_answered(asker, &key("play"), validate(&ticket)).await;
            if answer["ticket"].is_object() {
                until_answered(asker, &key("again"), validate(&answer["ticket"])).await;
            }
        };
        let (back, refund_key) = (refund, key("refund"));
        let back = until_answered(asker, &refund_key, back);
        match turn % 3 {
            0 => drop(back.await),
            1 => first.await,
            _ => drop(futures_util::future::join(first, back).await),
        }
    }
}

/// Asks until there is an answer, as a client does, with the same key; prints it.
async fn until_answered(asker: &Asker, key: &str, what: Act) -> Value {
    loop {
        match act(asker, key, &what).await {
            Ok(answer) => {
                let line = Line { key: key.to_owned(), act: what, answer: answer.clone() };
                println!("{}", serde_json::to_string(&line).expect("JSON"));
                return answer;
            }
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Kills instances: a few times, or with `SEGCAST_FULL=1` 100 times.
pub(crate) async fn an_instance_is_killed(world: World) {
    let times = if needs::full() { 100 } else { 5 };
    let mut work = prepare(&world).await;
    for round in 0..times {
        work.round = round;
        let mut worker = start(&work);
        // Any moment of the start, too.
        std::thread::sleep(Duration::from_millis(100 + (round as u64 * 7919) % 700));
        kill(&mut worker.child);
        look_over(&world, worker).await;
    }
}

/// Kills PostgreSQL: twice, or with `SEGCAST_FULL=1` 20 times.
pub(crate) fn postgresql_is_killed(mut server: Postgres) {
    let times = if needs::full() { 20 } else { 2 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let world = runtime.block_on(World::open(&server.database("crash")));
    let mut work = runtime.block_on(prepare(&world));
    for round in 0..times {
        work.round = round;
        let mut worker = start(&work);
        std::thread::sleep(Duration::from_millis(400 + (round as u64 * 7919) % 500));
        server.crash();
        std::thread::sleep(Duration::from_millis(500));
        kill(&mut worker.child);
        runtime.block_on(look_over(&world, worker));
    }
}

async fn prepare(world: &World) -> Work {
    world.top_up(1_000_000_000, "payment 1").await;
    Work {
        url: world.url.clone(),
        customer: world.customer.account.0,
        offer: world.offer(OfferKind::Rental, Some(2), 5).await.id,
        device: world.device(1).await,
        round: 0,
    }
}

/// A worker, and the file that it prints into: a pipe that nobody reads would hold it up.
struct Worker {
    child: Child,
    said: File,
}

fn start(work: &Work) -> Worker {
    let said = tempfile::tempfile().expect("a file");
    let mut worker = Command::new(std::env::current_exe().expect("this program"));
    worker.env(WORKER, serde_json::to_string(work).expect("JSON")).stdin(Stdio::null());
    worker.stdout(said.try_clone().expect("the same file"));
    Worker { child: worker.spawn().expect("a worker"), said }
}

/// What a worker printed before it was killed is answered again, and the books balance.
async fn look_over(world: &World, mut worker: Worker) {
    worker.said.rewind().expect("a file");
    let printed = BufReader::new(worker.said).lines();
    let lines = printed.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
    let lines: Vec<Line> = lines.collect();
    let asker = Asker { app: world.apps[1].clone(), customer: world.customer.clone() };
    // What was refused gave its key back, and may be another refusal now.
    for line in lines.iter().filter(|line| line.answer.is_object()) {
        let answer = act(&asker, &line.key, &line.act).await.expect("a database");
        assert_eq!(answer, line.answer, "{}", line.key);
    }
    println!("{} answers before it was killed", lines.len());
    world.books_balance().await;
}
