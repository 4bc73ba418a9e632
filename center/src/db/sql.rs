//! Statements: parameters, rows, and the ways to ask.
//!
//! Futures here are boxed and name their types, so that whoever awaits them stays `Send` without a proof that goes
//! through the driver's generics.

use core::fmt;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Decode, Row as _, Transaction, Type};
use tokio::sync::Mutex;

use super::DbError;

/// What a statement gives, in time.
pub type Asked<'t, T> = Pin<Box<dyn Future<Output = Result<T, DbError>> + Send + 't>>;

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// INTEGER.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB.
    Bytes(Option<Vec<u8>>),
}

macro_rules! value_from {
    ($($from:ty, $value:ident => $to:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        })*
    };
}

value_from! {
    i64, value => Self::Int(Some(value));
    Option<i64>, value => Self::Int(value);
    &str, value => Self::Text(Some(value.to_owned()));
    String, value => Self::Text(Some(value));
    &String, value => Self::Text(Some(value.clone()));
    Option<String>, value => Self::Text(value);
    &[u8], value => Self::Bytes(Some(value.to_vec()));
    Vec<u8>, value => Self::Bytes(Some(value));
    Option<Vec<u8>>, value => Self::Bytes(value);
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

/// Parameters of a statement, `$1` first.
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::db::Value::from($value)),*]
    };
}
pub(crate) use args;

/// A row of an answer.
pub struct Row(AnyRow);

/// A row may hold what is secret.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

impl Row {
    /// The column with this index.
    ///
    /// # Errors
    /// [`DbError::Sql`] when it is not of this type.
    pub fn get<'r, T: Decode<'r, Any> + Type<Any>>(&'r self, index: usize) -> Result<T, DbError> {
        Ok(self.0.try_get(index)?)
    }

    /// A BLOB of this length.
    ///
    /// # Errors
    /// [`DbError::Row`] for one of another length.
    pub fn array<const N: usize>(&self, index: usize) -> Result<[u8; N], DbError> {
        let bytes: Vec<u8> = self.get(index)?;
        bytes.try_into().map_err(|_| DbError::Row("a BLOB has another length"))
    }
}

/// A connection, and what it is for.
pub(super) enum Connection {
    /// A transaction: dropped before it is committed, it is rolled back.
    Writing(Transaction<'static, Any>),
    /// No transaction.
    Reading(PoolConnection<Any>),
}

impl Connection {
    fn any(&mut self) -> &mut AnyConnection {
        match self {
            Self::Writing(transaction) => transaction,
            Self::Reading(connection) => connection,
        }
    }
}

/// A transaction, or a connection for reading: one statement at a time. Text is fixed when the program is compiled; what
/// a person wrote is a parameter.
#[derive(Clone)]
pub struct Tx(Arc<Mutex<Option<Connection>>>);

impl Tx {
    pub(super) fn of(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(Some(connection))))
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        match self.0.lock().await.take() {
            Some(Connection::Writing(transaction)) => Ok(transaction.commit().await?),
            Some(Connection::Reading(_)) | None => Ok(()),
        }
    }

    /// The only row; none is an error.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn one(&self, sql: &'static str, parameters: Vec<Value>) -> Asked<'_, Row> {
        Box::pin(async move {
            let row = self.maybe(sql, parameters).await?;
            row.ok_or(DbError::Sql(sqlx::Error::RowNotFound))
        })
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn maybe(&self, sql: &'static str, parameters: Vec<Value>) -> Asked<'_, Option<Row>> {
        Box::pin(async move {
            let mut held = self.0.lock().await;
            let connection = held.as_mut().ok_or(ENDED)?.any();
            Ok(query(sql, parameters).fetch_optional(connection).await?.map(Row))
        })
    }

    /// All rows.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn all(&self, sql: &'static str, parameters: Vec<Value>) -> Asked<'_, Vec<Row>> {
        Box::pin(async move {
            let mut held = self.0.lock().await;
            let connection = held.as_mut().ok_or(ENDED)?.any();
            let rows = query(sql, parameters).fetch_all(connection).await?;
            Ok(rows.into_iter().map(Row).collect())
        })
    }

    /// Runs it; rows are not asked for.
    ///
    /// # Errors
    /// [`DbError`].
    pub fn run(&self, sql: &'static str, parameters: Vec<Value>) -> Asked<'_, ()> {
        Box::pin(async move {
            let mut held = self.0.lock().await;
            let connection = held.as_mut().ok_or(ENDED)?.any();
            query(sql, parameters).execute(connection).await?;
            Ok(())
        })
    }
}

/// Whoever kept a transaction beyond its end.
const ENDED: DbError = DbError::Row("the transaction has ended");

fn query(sql: &'static str, parameters: Vec<Value>) -> Query<'static, Any, AnyArguments> {
    parameters.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}
