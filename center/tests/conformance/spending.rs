//! Nothing is spent twice: not by many at once, not at two instances, not by a request that is sent again.

use segcast_api::catalogue::OfferKind;
use segcast_api::orders::{OrderRequest, RefundRequest};
use segcast_center::app::Outcome;
use segcast_center::service::{orders, refunds};

use crate::world::{World, done, euro, keyed, once, refused};

/// How many try at once.
const MANY: usize = 64;

/// Of 64 validations of a ticket for one play, with 64 keys at two instances, one succeeds.
pub(crate) async fn one_play_is_spent_once(world: World) {
    let offer = world.offer(OfferKind::Free, Some(1), 0).await;
    let (ticket, device) = (world.order(&offer).await, world.device(1).await);
    let guards: Vec<_> = (0..MANY).map(|_| once()).collect();
    let all = guards.iter().enumerate();
    let all = all.map(|(n, guard)| world.validate(n % 2, guard, &ticket, device));
    let mut spent = 0;
    for came in futures_util::future::join_all(all).await {
        match came.expect("a database") {
            Outcome::Done(answer) => {
                assert!(answer.ticket.is_none(), "no play is left");
                spent += 1;
            }
            Outcome::Refused(problem) => {
                assert_eq!(problem.code.as_str(), "ticket-spent");
                assert_eq!(problem.more.device.as_deref(), Some("device 1"));
                assert!(problem.more.at.is_some());
            }
        }
    }
    assert_eq!(spent, 1);
    world.books_balance().await;
}

/// 64 validations with one key at two instances: one spend, and 64 equal answers.
pub(crate) async fn one_key_spends_once(world: World) {
    let offer = world.offer(OfferKind::Free, Some(3), 0).await;
    let (ticket, device) = (world.order(&offer).await, world.device(1).await);
    let guard = keyed("the-same-key-for-all");
    let all = (0..MANY).map(|n| world.validate(n % 2, &guard, &ticket, device));
    let answers = futures_util::future::join_all(all).await.into_iter().map(done);
    let mut answers: Vec<_> = answers.collect();
    answers.dedup();
    assert_eq!(answers.len(), 1, "all are equal");
    assert_eq!(answers[0].ticket.as_ref().and_then(|next| next.plays), Some(2));
    let mut other = guard.clone();
    other.request[0] ^= 1;
    assert_eq!(refused(world.validate(0, &other, &ticket, device).await), "idempotency-key-reused");
    world.books_balance().await;
}

/// 64 orders on a purse that is enough for ten.
pub(crate) async fn a_purse_is_not_overdrawn(world: World) {
    let offer = world.offer(OfferKind::Rental, Some(1), 100).await;
    world.top_up(1099, "payment 1").await;
    world.top_up(1099, "payment 1").await;
    assert_eq!(world.balance().await, 1099, "a reference counts once");
    let guards: Vec<_> = (0..MANY).map(|_| once()).collect();
    let request = || OrderRequest { offer: offer.id };
    let all = guards.iter().enumerate();
    let all =
        all.map(|(n, guard)| orders::order(&world.apps[n % 2], &world.customer, guard, request()));
    let mut bought = 0;
    for came in futures_util::future::join_all(all).await {
        match came.expect("a database") {
            Outcome::Done(_) => bought += 1,
            Outcome::Refused(problem) => {
                assert_eq!(problem.code.as_str(), "insufficient-funds");
                assert_eq!(problem.more.needed, Some(euro(100)));
                assert_eq!(problem.more.present, Some(euro(99)));
            }
        }
    }
    assert_eq!((bought, world.balance().await), (10, 99));
    world.books_balance().await;
}

/// 64 refunds of a third each: three fit. Then none, and never a negative one.
pub(crate) async fn refunds_stay_within_the_price(world: World) {
    let offer = world.offer(OfferKind::Rental, Some(2), 300).await;
    world.top_up(300, "payment 1").await;
    let ticket = world.order(&offer).await;
    let device = world.device(1).await;
    let next =
        done(world.validate(0, &once(), &ticket, device).await).ticket.expect("a play is left");
    let request = |amount| RefundRequest { amount, reason: "broken".parse().expect("a reason") };
    let refund = async |n: usize, amount: Option<i64>| {
        let guard = once();
        let amount = amount.map(euro);
        refunds::refund(&world.apps[n % 2], &world.operator, &guard, ticket.order, request(amount))
            .await
    };
    assert_eq!(refused(refund(0, Some(-1)).await), "invalid");
    assert_eq!(refused(refund(0, Some(0)).await), "invalid");
    assert_eq!(refused(refund(0, Some(i64::MAX)).await), "refund-too-much");
    let all = (0..MANY).map(|n| refund(n, Some(100)));
    let came = futures_util::future::join_all(all).await;
    let paid = came.into_iter().filter(|came| matches!(came, Ok(Outcome::Done(_)))).count();
    assert_eq!((paid, world.balance().await), (3, 300));
    assert_eq!(refused(refund(1, None).await), "refund-too-much");
    assert_eq!(refused(world.validate(0, &once(), &next, device).await), "ticket-revoked");
    world.books_balance().await;
}

/// Refunds and validations of one order at once: either it was played, or it is paid back and no ticket is live.
pub(crate) async fn who_gives_back_has_not_played(world: World) {
    let offer = world.offer(OfferKind::Rental, Some(9), 10).await;
    let device = world.device(1).await;
    world.top_up(200, "payment 1").await;
    for round in 0..20 {
        let ticket = world.order(&offer).await;
        let (guards, back) = ([once(), once()], once());
        let request = RefundRequest { amount: None, reason: "no time".parse().expect("a reason") };
        let (first, second, refund) = futures_util::future::join3(
            world.validate(0, &guards[0], &ticket, device),
            world.validate(1, &guards[1], &ticket, device),
            refunds::refund(&world.apps[round % 2], &world.customer, &back, ticket.order, request),
        )
        .await;
        let played =
            [first, second].into_iter().filter(|came| matches!(came, Ok(Outcome::Done(_)))).count();
        let given_back = match refund.expect("a database") {
            Outcome::Done(_) => 1,
            Outcome::Refused(problem) => {
                assert_eq!(problem.code.as_str(), "already-played");
                0
            }
        };
        assert_eq!(played + given_back, 1, "round {round}");
        world.books_balance().await;
    }
}
