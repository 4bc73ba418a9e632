//! The database by itself, on SQLite; both databases are tried with all that stands above, in tests/center.

use super::guard::{Known, Rate};
use super::sql::args;
use super::*;

/// A database in a folder of its own.
async fn fresh() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    // What ends a path or stands for something else in a URL.
    let url = format!("sqlite:{}/a?b#c%20d.sqlite", folder.path().display());
    let db = Db::open(&url).await.unwrap();
    assert!(folder.path().join("a?b#c%20d.sqlite").exists());
    (folder, db)
}

#[tokio::test]
async fn what_is_refused_is_committed_and_what_fails_is_not() {
    let (_folder, db) = fresh().await;
    let rate = Rate { bucket: "x".to_owned(), each_ms: 1000, burst_ms: 1000 };
    let take = async |now: i64| {
        let outcome =
            db.write(async |tx: Tx| Ok(Outcome::Done(guard::take(&tx, &rate, now).await?)));
        match outcome.await.unwrap() {
            Outcome::Done(early) => early,
            Outcome::Refused(problem) => panic!("{problem}"),
        }
    };
    assert_eq!([take(5000).await, take(5000).await, take(5000).await], [0, 0, 1000]);
    assert_eq!([take(5999).await, take(6000).await], [1, 0]);

    let failing = db.write(async |tx: Tx| {
        let tx = &tx;
        guard::take(tx, &Rate { bucket: "y".to_owned(), ..rate.clone() }, 0).await?;
        Err::<Outcome<()>, _>(DbError::Row("it fails"))
    });
    assert!(failing.await.is_err());
    let rows =
        db.read().await.unwrap().all("SELECT bucket FROM rate_limits", args![]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_key_is_taken_once_and_knows_its_request() {
    let (_folder, db) = fresh().await;
    let claim = async |route: &'static str, request: [u8; 32]| {
        let act = async |tx: Tx| {
            let tx = &tx;
            let known = guard::claim(tx, ("me", "key"), (route, &request), 99).await?;
            if matches!(known, Known::Fresh) {
                guard::keep(tx, ("me", "key"), vec![7]).await?;
            }
            Ok(Outcome::Done(known))
        };
        match db.write(act).await.unwrap() {
            Outcome::Done(known) => known,
            Outcome::Refused(problem) => panic!("{problem}"),
        }
    };
    assert!(matches!(claim("a", [1; 32]).await, Known::Fresh));
    assert!(matches!(claim("a", [1; 32]).await, Known::Same(answer) if answer == [7]));
    assert!(matches!(claim("b", [1; 32]).await, Known::Other));
    assert!(matches!(claim("a", [2; 32]).await, Known::Other));
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let (folder, db) = fresh().await;
    let sql = "UPDATE _sqlx_migrations SET version = 7";
    let raise = async |tx: Tx| Ok(Outcome::Done(tx.run(sql, args![]).await?));
    db.write(raise).await.unwrap();
    db.close().await;
    let url = format!("sqlite:{}/a?b#c%20d.sqlite", folder.path().display());
    let error = Db::open(&url).await.unwrap_err().to_string();
    assert!(error.contains("schema 7, this program knows 1"), "{error}");
    assert!(matches!(Db::open("mysql:x").await, Err(DbError::Url(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_wait_in_one_queue() {
    let (_folder, db) = fresh().await;
    let tasks = (0..32).map(|_| {
        let db = db.clone();
        tokio::spawn(async move {
            let sql =
                "UPDATE counters SET value = value + 1 WHERE name = 'revocation' RETURNING value";
            let count =
                async |tx: Tx| Ok(Outcome::Done(tx.one(sql, args![]).await?.get::<i64>(0)?));
            db.write(count).await.unwrap()
        })
    });
    let mut found = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        found.push(task.await.unwrap());
    }
    assert!(found.contains(&Outcome::Done(32)));
    assert_eq!(db.retries(), 0);
    assert_eq!(db.ready(0).await.unwrap(), 0);
}
