//! The way of a right: bought, played on a device, renewed, withdrawn, ended.

use std::time::Duration;

use segcast_api::admin::RevocationRequest;
use segcast_api::catalogue::OfferKind;
use segcast_api::tickets::TicketState;
use segcast_api::tokens::TokenRequest;
use segcast_api::value::Id;
use segcast_center::app::App;
use segcast_center::db::Window;
use segcast_center::service::{devices, export, revocations, tickets, tokens};
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::ticket::{check_certificate, check_ticket, join};
use segcast_proto::token;

use crate::world::{PAGE0, TITLE_KEY, World, done, once, open, refused};

fn seconds(app: &App) -> u64 {
    app.clock.now().unsigned_abs() / 1000
}

/// Both parts of the key come to who bought and validated; a lost ticket is the same again.
pub(crate) async fn a_ticket_and_its_certificate_open_the_title(world: World) {
    let offer = world.offer(OfferKind::Free, Some(2), 0).await;
    let (ticket, device) = (world.order(&offer).await, world.device(1).await);
    let again = done(tickets::get(&world.apps[1], &world.customer, ticket.serial).await);
    assert_eq!(again, ticket);
    let answer = done(world.validate(0, &once(), &ticket, device).await);
    let (trust, now) = (world.app().vault.trust(), seconds(world.app()));
    let body = check_ticket(&ticket.ticket.0, &trust, now).expect("a ticket");
    let signed = ticket.ticket.0.first_chunk().expect("its body");
    let certificate = check_certificate(&answer.certificate.0, signed, &PAGE0, &trust, now);
    let certificate = certificate.expect("its certificate");
    assert_eq!(join(&body.part, &certificate.part), TitleKey::new(TITLE_KEY));
    assert_eq!((body.set, body.account, body.plays), (world.film, world.customer.account, Some(2)));

    let next = answer.ticket.expect("a play is left");
    let other = check_ticket(&next.ticket.0, &trust, now).expect("a ticket");
    assert_ne!(other.part, body.part, "each has a split of its own");
    let list =
        tickets::list(world.app(), &world.customer, None, Window::first(1)).await.expect("a list");
    assert!(list.next.is_some() && list.items == [next.clone()]);
    let live = Some(TicketState::Live);
    let list =
        tickets::list(world.app(), &world.customer, live, Window::first(9)).await.expect("a list");
    assert!(list.next.is_none() && list.items == [next]);
    let all = done(export::export(world.app(), &world.customer).await);
    assert_eq!((all.orders.len(), all.tickets.len(), all.devices.len()), (1, 2, 1));
}

/// What is not the customer's own, or was changed, is no ticket.
pub(crate) async fn a_foreign_or_changed_ticket_is_refused(world: World) {
    let offer = world.offer(OfferKind::Purchase, None, 100).await;
    world.top_up(100, "payment 1").await;
    let (ticket, device) = (world.order(&offer).await, world.device(1).await);
    for at in [0, 8, 20, 40, 44, 48, 64, 127] {
        let mut changed = ticket.clone();
        changed.ticket.0[at] ^= 1;
        assert_eq!(refused(world.validate(0, &once(), &changed, device).await), "ticket-invalid");
    }
    let thief =
        World { customer: world.account("thief@example.org", world.customer.role).await, ..world };
    let other = thief.device(2).await;
    assert_eq!(refused(thief.validate(0, &once(), &ticket, other).await), "ticket-unknown");
    assert_eq!(refused(thief.validate(0, &once(), &ticket, device).await), "ticket-unknown");
    assert_eq!(
        refused(tickets::get(thief.app(), &thief.customer, ticket.serial).await),
        "ticket-unknown"
    );
}

/// A token names the play, the device's key and the set; it ends with its certificate, and with what was revoked.
pub(crate) async fn tokens_follow_certificates(world: World) {
    let offer = world.offer(OfferKind::Free, Some(1), 0).await;
    let (ticket, device) = (world.order(&offer).await, world.device(1).await);
    let play = done(world.validate(0, &once(), &ticket, device).await).serial;
    let issue = async |certificates: &[Id], device: Id| {
        let request = TokenRequest { certificates: certificates.to_vec(), device };
        tokens::issue(world.app(), &world.customer, &open(), request).await
    };
    let answer = done(issue(&[play], device).await);
    let signer = world.app().vault.signer(segcast_proto::trust::Use::Token).public();
    let ring = token::Keyring::new([signer]);
    let claims =
        token::verify(&answer.token.0, &ring, seconds(world.app()), &[1; 32]).expect("a token");
    assert_eq!((claims.client_public, claims.sets.as_slice()), ([1; 32], [world.film].as_slice()));
    assert_eq!((claims.plays.as_slice(), claims.grace), ([play.0].as_slice(), Some(1800)));
    assert_eq!(answer.expires.seconds(), claims.expires);

    let other = world.device(2).await;
    assert_eq!(refused(issue(&[play], other).await), "wrong-device");
    assert_eq!(refused(issue(&[play, play], device).await), "invalid");
    assert_eq!(refused(issue(&[], device).await), "invalid");
    assert_eq!(refused(issue(&[Id(5)], device).await), "not-found");

    let request = RevocationRequest::Certificate(play);
    let revoked = revocations::revoke(world.app(), &world.operator, &once(), request).await;
    let revoked = done(revoked);
    assert_eq!((revoked.count, revoked.number), (1, 1));
    assert_eq!(refused(issue(&[play], device).await), "certificate-revoked");
    done(devices::remove(world.app(), &world.customer, device).await);
    assert_eq!(refused(issue(&[play], device).await), "device-revoked");
}

/// What has an end ends: the time to start, the time to watch.
pub(crate) async fn rights_end_in_time(world: World) {
    let offer = world.offer(OfferKind::Free, Some(1), 0).await;
    let device = world.device(1).await;
    let (played, waited) = (world.order(&offer).await, world.order(&offer).await);
    let play = done(world.validate(0, &once(), &played, device).await).serial;
    world.app().clock.advance(Duration::from_secs(49 * 3600));
    let request = TokenRequest { certificates: vec![play], device };
    let late = tokens::issue(world.app(), &world.customer, &open(), request).await;
    assert_eq!(refused(late), "certificate-expired");
    world.app().clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(refused(world.validate(0, &once(), &waited, device).await), "ticket-expired");
}
