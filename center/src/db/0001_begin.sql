-- One text for SQLite and PostgreSQL: db/migrate.rs replaces three words. Ids are 63 random bits, times Unix
-- milliseconds, amounts minor units of a currency.

CREATE TABLE accounts (
  id INTEGER NOT NULL PRIMARY KEY,
  login TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  password TEXT,
  role TEXT NOT NULL CHECK (role IN ('customer', 'operator', 'auditor', 'payments')),
  state TEXT NOT NULL CHECK (state IN ('active', 'must_change', 'blocked', 'closed')),
  consent INTEGER NOT NULL CHECK (consent IN (0, 1)),
  devices INTEGER NOT NULL CHECK (devices >= 0),
  created INTEGER NOT NULL,
  rev INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_created ON accounts (created, id);

CREATE TABLE sessions (
  hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  id INTEGER NOT NULL UNIQUE,
  account INTEGER NOT NULL REFERENCES accounts,
  kind TEXT NOT NULL CHECK (kind IN ('session', 'key')),
  label TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER
) STRICT;
CREATE INDEX sessions_account ON sessions (account);

CREATE TABLE devices (
  id INTEGER NOT NULL PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES accounts,
  client_key BLOB NOT NULL CHECK (length(client_key) = 32),
  name TEXT NOT NULL,
  created INTEGER NOT NULL,
  revoked INTEGER,
  UNIQUE (account, client_key)
) STRICT;

CREATE TABLE titles (
  id INTEGER NOT NULL PRIMARY KEY,
  number BLOB NOT NULL UNIQUE CHECK (length(number) = 12),
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  search TEXT NOT NULL,
  synopsis TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('draft', 'listed', 'withdrawn')),
  created INTEGER NOT NULL,
  rev INTEGER NOT NULL
) STRICT;
CREATE INDEX titles_listed ON titles (state, created, id);

CREATE TABLE sets (
  set_id BLOB NOT NULL PRIMARY KEY CHECK (length(set_id) = 16),
  title INTEGER NOT NULL REFERENCES titles,
  version INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('building', 'ready', 'withdrawn')),
  length INTEGER,
  page0_digest BLOB CHECK (page0_digest IS NULL OR length(page0_digest) = 32),
  created INTEGER NOT NULL,
  UNIQUE (title, version),
  CHECK (state <> 'ready' OR (length IS NOT NULL AND page0_digest IS NOT NULL))
) STRICT;

CREATE TABLE masters (
  id INTEGER NOT NULL PRIMARY KEY,
  proof BLOB NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE title_keys (
  set_id BLOB NOT NULL PRIMARY KEY REFERENCES sets,
  wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE signing_keys (
  kid BLOB NOT NULL PRIMARY KEY CHECK (length(kid) = 8),
  use_name TEXT NOT NULL,
  public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
  wrapped BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('new', 'signing', 'verifying', 'retired')),
  signs_from INTEGER NOT NULL,
  signs_until INTEGER NOT NULL,
  verify_until INTEGER NOT NULL
) STRICT;

CREATE TABLE keysets (
  number INTEGER NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL,
  issued INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT;

CREATE TABLE offers (
  id INTEGER NOT NULL PRIMARY KEY,
  title INTEGER NOT NULL REFERENCES titles,
  kind TEXT NOT NULL CHECK (kind IN ('rental', 'purchase', 'free')),
  plays INTEGER CHECK (plays IS NULL OR plays BETWEEN 1 AND 65534),
  start_within INTEGER CHECK (start_within IS NULL OR start_within > 0),
  play_window INTEGER CHECK (play_window IS NULL OR play_window > 0),
  price INTEGER NOT NULL CHECK (price >= 0),
  currency TEXT NOT NULL,
  valid_from INTEGER NOT NULL,
  valid_until INTEGER,
  created INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  CHECK (plays IS NOT NULL OR start_within IS NULL),
  CHECK (kind <> 'purchase' OR (plays IS NULL AND play_window IS NULL)),
  CHECK ((kind = 'free') = (price = 0))
) STRICT;
CREATE INDEX offers_title ON offers (title);

CREATE TABLE orders (
  id INTEGER NOT NULL PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES accounts,
  offer INTEGER NOT NULL REFERENCES offers,
  set_id BLOB NOT NULL REFERENCES sets,
  price INTEGER NOT NULL,
  currency TEXT NOT NULL,
  refunded INTEGER NOT NULL,
  refunds INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('paid', 'refunded')),
  created INTEGER NOT NULL,
  CHECK (refunded BETWEEN 0 AND price)
) STRICT;
CREATE INDEX orders_account ON orders (account, created, id);

CREATE TABLE purses (
  id INTEGER NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('customer', 'sales', 'clearing')),
  owner INTEGER NOT NULL,
  currency TEXT NOT NULL,
  balance INTEGER NOT NULL,
  UNIQUE (kind, owner, currency),
  CHECK (kind <> 'customer' OR balance >= 0),
  CHECK ((kind = 'customer') = (owner <> 0))
) STRICT;

CREATE TABLE transfers (
  id INTEGER NOT NULL PRIMARY KEY,
  debit INTEGER NOT NULL REFERENCES purses,
  credit INTEGER NOT NULL REFERENCES purses,
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('top_up', 'order', 'refund')),
  order_id INTEGER REFERENCES orders,
  reference TEXT NOT NULL,
  created INTEGER NOT NULL,
  CHECK (debit <> credit),
  UNIQUE (kind, reference)
) STRICT;
CREATE INDEX transfers_debit ON transfers (debit);
CREATE INDEX transfers_credit ON transfers (credit);
CREATE INDEX transfers_created ON transfers (created, id);

CREATE TABLE tickets (
  serial INTEGER NOT NULL PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES accounts,
  order_id INTEGER NOT NULL REFERENCES orders,
  parent INTEGER UNIQUE REFERENCES tickets,
  set_id BLOB NOT NULL REFERENCES sets,
  plays INTEGER CHECK (plays IS NULL OR plays >= 1),
  play_window INTEGER,
  created INTEGER NOT NULL,
  expires INTEGER,
  state TEXT NOT NULL CHECK (state IN ('live', 'spent', 'revoked')),
  k1 BLOB NOT NULL,
  uses INTEGER NOT NULL,
  CHECK (plays IS NOT NULL OR expires IS NULL)
) STRICT;
CREATE INDEX tickets_account ON tickets (account, created, serial);
CREATE INDEX tickets_order ON tickets (order_id);

CREATE TABLE certificates (
  serial INTEGER NOT NULL PRIMARY KEY,
  ticket INTEGER NOT NULL REFERENCES tickets,
  spends INTEGER NOT NULL CHECK (spends IN (0, 1)),
  account INTEGER NOT NULL REFERENCES accounts,
  device INTEGER NOT NULL REFERENCES devices,
  set_id BLOB NOT NULL REFERENCES sets,
  created INTEGER NOT NULL,
  expires INTEGER,
  state TEXT NOT NULL CHECK (state IN ('live', 'revoked')),
  tokens INTEGER NOT NULL,
  last_token INTEGER
) STRICT;
CREATE INDEX certificates_account ON certificates (account);
CREATE INDEX certificates_ticket ON certificates (ticket);
CREATE UNIQUE INDEX certificates_spend ON certificates (ticket) WHERE spends = 1;

CREATE TABLE revocations (
  number INTEGER NOT NULL PRIMARY KEY,
  play INTEGER NOT NULL UNIQUE REFERENCES certificates,
  at INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;

CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT;
INSERT INTO counters (name, value) VALUES ('revocation', 0);

CREATE TABLE idempotency (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  route TEXT NOT NULL,
  request BLOB NOT NULL CHECK (length(request) = 32),
  answer BLOB,
  expires INTEGER NOT NULL,
  PRIMARY KEY (owner, key)
) STRICT;
CREATE INDEX idempotency_expires ON idempotency (expires);

CREATE TABLE rate_limits (
  bucket TEXT NOT NULL PRIMARY KEY,
  tat INTEGER NOT NULL
) STRICT;
CREATE INDEX rate_limits_tat ON rate_limits (tat);

CREATE TABLE audit (
  id INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL,
  actor INTEGER,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  request_id TEXT NOT NULL,
  network TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at, id);
