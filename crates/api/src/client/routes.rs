//! The routes, one method each. All fail with [`ClientError`].

use super::{Call, Center, ClientError, encode};
use crate::accounts::{Account, AccountRequest, Balance, SessionAnswer, SessionRequest};
use crate::admin::{
    AdminAccountPatch, Books, RevocationAnswer, RevocationRequest, TopUpRequest, Transfer,
};
use crate::catalogue::{Offer, OfferRequest, TitleAnswer, TitlePatch, TitleRequest};
use crate::devices::{Device, DeviceRequest};
use crate::orders::{Order, OrderAnswer, OrderRequest, RefundRequest};
use crate::status::Status;
use crate::tickets::{Ticket, ValidationAnswer, ValidationRequest};
use crate::tokens::{TokenAnswer, TokenRequest};
use crate::value::Id;

type Answer<T> = Result<T, ClientError>;

#[expect(missing_docs, clippy::missing_errors_doc, reason = "the routes of the description")]
impl Center {
    pub fn status(&self) -> Answer<Status> {
        self.get("/status")
    }

    /// The newest keyset, as signed.
    pub fn keyset(&self) -> Answer<Vec<u8>> {
        self.send(Call::new(&ureq::http::Method::GET, "/keys"))
    }

    pub fn titles(&self, word: Option<&str>) -> Answer<Vec<TitleAnswer>> {
        let query = word.map(|word| format!("?q={}", encode(word))).unwrap_or_default();
        self.all(&format!("/titles{query}"))
    }

    pub fn title(&self, slug: &str) -> Answer<TitleAnswer> {
        self.get(&format!("/titles/{}", encode(slug)))
    }

    pub fn register(&self, request: &AccountRequest) -> Answer<Account> {
        self.post("/accounts", None, request)
    }

    pub fn login(&self, request: &SessionRequest) -> Answer<SessionAnswer> {
        self.post("/sessions", None, request)
    }

    pub fn logout(&self) -> Answer<()> {
        self.delete("/sessions/current")
    }

    pub fn devices(&self) -> Answer<Vec<Device>> {
        self.all("/devices")
    }

    pub fn add_device(&self, request: &DeviceRequest) -> Answer<Device> {
        self.post("/devices", None, request)
    }

    pub fn revoke_device(&self, device: Id) -> Answer<()> {
        self.delete(&format!("/devices/{device}"))
    }

    pub fn balance(&self) -> Answer<Balance> {
        self.get("/balance")
    }

    pub fn order(&self, key: &str, request: &OrderRequest) -> Answer<OrderAnswer> {
        self.post("/orders", Some(key), request)
    }

    pub fn refund(&self, key: &str, order: Id, request: &RefundRequest) -> Answer<Order> {
        self.post(&format!("/orders/{order}/refund"), Some(key), request)
    }

    /// Those that can be validated.
    pub fn tickets(&self) -> Answer<Vec<Ticket>> {
        self.all("/tickets?state=live")
    }

    pub fn validate(&self, key: &str, request: &ValidationRequest) -> Answer<ValidationAnswer> {
        self.post("/validations", Some(key), request)
    }

    pub fn token(&self, request: &TokenRequest) -> Answer<TokenAnswer> {
        self.post("/tokens", None, request)
    }

    pub fn add_title(&self, key: &str, request: &TitleRequest) -> Answer<TitleAnswer> {
        self.post("/titles", Some(key), request)
    }

    pub fn change_title(&self, slug: &str, rev: u64, request: &TitlePatch) -> Answer<TitleAnswer> {
        self.patch(&format!("/titles/{}", encode(slug)), rev, request)
    }

    pub fn add_offer(&self, key: &str, slug: &str, request: &OfferRequest) -> Answer<Offer> {
        self.post(&format!("/titles/{}/offers", encode(slug)), Some(key), request)
    }

    pub fn accounts(&self) -> Answer<Vec<Account>> {
        self.all("/accounts")
    }

    pub fn change_account(
        &self,
        account: Id,
        rev: u64,
        request: &AdminAccountPatch,
    ) -> Answer<Account> {
        self.patch(&format!("/accounts/{account}"), rev, request)
    }

    pub fn top_up(&self, key: &str, account: Id, request: &TopUpRequest) -> Answer<Transfer> {
        self.post(&format!("/accounts/{account}/top-ups"), Some(key), request)
    }

    pub fn revoke(&self, key: &str, request: &RevocationRequest) -> Answer<RevocationAnswer> {
        self.post("/revocations", Some(key), request)
    }

    pub fn books(&self) -> Answer<Books> {
        self.get("/books")
    }
}
