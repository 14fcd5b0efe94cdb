-- The intents ledger. What must never happen is made impossible here, whoever writes.

CREATE TABLE order_intents (
    order_intent_id TEXT PRIMARY KEY CHECK (order_intent_id <> ''),
    run_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    parent_order_intent_id TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('SUBMIT', 'CANCEL', 'CANCEL_REPLACE', 'OCO_CREATE',
                                           'OCO_CANCEL', 'TRAILING_ACTIVATE', 'CLOSE')),
    role TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    client_order_id TEXT NOT NULL UNIQUE CHECK (client_order_id <> ''),
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    state TEXT NOT NULL CHECK (state IN ('CREATED', 'SENT_UNKNOWN', 'CONFIRMED',
                                         'FAILED_TERMINAL', 'NOT_FOUND')),
    request_id TEXT NOT NULL,
    exchange_order_id INTEGER NOT NULL,
    exchange_list_id INTEGER NOT NULL,
    last_error_code TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    sent_at_ms INTEGER NOT NULL,
    recv_window_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX order_intents_decision ON order_intents (decision_id);
CREATE INDEX order_intents_unsettled ON order_intents (created_at_ms)
    WHERE state IN ('CREATED', 'SENT_UNKNOWN');
CREATE INDEX order_intents_symbol ON order_intents (symbol, created_at_ms);

CREATE TRIGGER order_intents_born_created BEFORE INSERT ON order_intents
WHEN NEW.state <> 'CREATED'
BEGIN SELECT RAISE(ABORT, 'an intent begins in CREATED'); END;
CREATE TRIGGER order_intents_legal_edges BEFORE UPDATE ON order_intents
WHEN NEW.state <> OLD.state AND NOT (
    (OLD.state = 'CREATED' AND NEW.state IN ('SENT_UNKNOWN', 'FAILED_TERMINAL'))
    OR (OLD.state = 'SENT_UNKNOWN'
        AND NEW.state IN ('CONFIRMED', 'FAILED_TERMINAL', 'NOT_FOUND'))
    OR (OLD.state = 'NOT_FOUND' AND NEW.state = 'CONFIRMED'))
BEGIN SELECT RAISE(ABORT, 'illegal intent transition'); END;
CREATE TRIGGER order_intents_identity BEFORE UPDATE ON order_intents
WHEN NEW.order_intent_id <> OLD.order_intent_id OR NEW.decision_id <> OLD.decision_id
    OR NEW.client_order_id <> OLD.client_order_id OR NEW.payload <> OLD.payload
    OR NEW.action <> OLD.action OR NEW.role <> OLD.role OR NEW.attempt <> OLD.attempt
    OR NEW.symbol <> OLD.symbol OR NEW.side <> OLD.side
    OR NEW.parent_order_intent_id <> OLD.parent_order_intent_id
    OR NEW.created_at_ms <> OLD.created_at_ms
BEGIN SELECT RAISE(ABORT, 'what an intent means is never changed'); END;
CREATE TRIGGER order_intents_kept BEFORE DELETE ON order_intents
BEGIN SELECT RAISE(ABORT, 'intents are never deleted'); END;

CREATE TABLE intent_client_ids (
    client_order_id TEXT PRIMARY KEY CHECK (client_order_id <> ''),
    order_intent_id TEXT NOT NULL REFERENCES order_intents (order_intent_id),
    role TEXT NOT NULL
) STRICT;
CREATE INDEX intent_client_ids_intent ON intent_client_ids (order_intent_id);

CREATE TRIGGER intent_client_ids_immutable BEFORE UPDATE ON intent_client_ids
BEGIN SELECT RAISE(ABORT, 'a client id is bound once'); END;
CREATE TRIGGER intent_client_ids_kept BEFORE DELETE ON intent_client_ids
BEGIN SELECT RAISE(ABORT, 'a used client id is never freed'); END;

CREATE TABLE intent_transitions (
    id INTEGER PRIMARY KEY,
    order_intent_id TEXT NOT NULL REFERENCES order_intents (order_intent_id),
    run_id TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    evidence TEXT NOT NULL,
    request_id TEXT NOT NULL,
    last_error_code TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    CHECK ((from_state = 'CREATED' AND to_state IN ('SENT_UNKNOWN', 'FAILED_TERMINAL'))
        OR (from_state = 'SENT_UNKNOWN'
            AND to_state IN ('CONFIRMED', 'FAILED_TERMINAL', 'NOT_FOUND'))
        OR (from_state = 'NOT_FOUND' AND to_state = 'CONFIRMED'))
) STRICT;
CREATE INDEX intent_transitions_intent ON intent_transitions (order_intent_id, id);

-- Without this a transition of an unknown intent, or from another state, would move nothing.
CREATE TRIGGER intent_transitions_from_present_state BEFORE INSERT ON intent_transitions
WHEN NOT EXISTS (SELECT 1 FROM order_intents
                 WHERE order_intent_id = NEW.order_intent_id AND state = NEW.from_state)
BEGIN SELECT RAISE(ABORT, 'the intent is not in the state the transition starts from'); END;
CREATE TRIGGER intent_transitions_immutable BEFORE UPDATE ON intent_transitions
BEGIN SELECT RAISE(ABORT, 'transitions are never changed'); END;
CREATE TRIGGER intent_transitions_kept BEFORE DELETE ON intent_transitions
BEGIN SELECT RAISE(ABORT, 'transitions are never deleted'); END;

CREATE TABLE orders (
    symbol TEXT NOT NULL,
    order_id INTEGER NOT NULL,
    order_list_id INTEGER NOT NULL,
    client_order_id TEXT NOT NULL,
    orig_client_order_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    raw_status TEXT NOT NULL,
    price TEXT NOT NULL CHECK (price <> '' AND price NOT GLOB '*[^0-9.]*'),
    stop_price TEXT NOT NULL CHECK (stop_price <> '' AND stop_price NOT GLOB '*[^0-9.]*'),
    orig_qty TEXT NOT NULL CHECK (orig_qty <> '' AND orig_qty NOT GLOB '*[^0-9.]*'),
    executed_qty TEXT NOT NULL CHECK (executed_qty <> '' AND executed_qty NOT GLOB '*[^0-9.]*'),
    cumulative_quote TEXT NOT NULL
        CHECK (cumulative_quote <> '' AND cumulative_quote NOT GLOB '*[^0-9.-]*'),
    exchange_time_ms INTEGER NOT NULL,
    local_received_ms INTEGER NOT NULL,
    expiry_reason TEXT NOT NULL,
    is_working INTEGER NOT NULL CHECK (is_working IN (0, 1)),
    order_intent_id TEXT NOT NULL,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (symbol, order_id)
) STRICT;
CREATE INDEX orders_open ON orders (symbol)
    WHERE status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED', 'UNKNOWN');
CREATE INDEX orders_intent ON orders (order_intent_id) WHERE order_intent_id <> '';

-- Decimal text compared exactly: whole part as an integer, then the decimals padded to eighteen.
CREATE TRIGGER orders_never_backwards BEFORE UPDATE ON orders
WHEN (CAST(NEW.executed_qty AS INTEGER),
      substr(substr(NEW.executed_qty, instr(NEW.executed_qty || '.', '.') + 1)
             || '000000000000000000', 1, 18))
   < (CAST(OLD.executed_qty AS INTEGER),
      substr(substr(OLD.executed_qty, instr(OLD.executed_qty || '.', '.') + 1)
             || '000000000000000000', 1, 18))
BEGIN SELECT RAISE(ABORT, 'executed quantity never shrinks'); END;
CREATE TRIGGER orders_never_reopened BEFORE UPDATE ON orders
WHEN OLD.status IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'EXPIRED_IN_MATCH')
    AND NEW.status NOT IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'EXPIRED_IN_MATCH')
BEGIN SELECT RAISE(ABORT, 'a terminal order is never reopened'); END;
CREATE TRIGGER orders_kept BEFORE DELETE ON orders
BEGIN SELECT RAISE(ABORT, 'orders are never deleted'); END;

CREATE TABLE order_lists (
    symbol TEXT NOT NULL,
    order_list_id INTEGER NOT NULL,
    list_client_order_id TEXT NOT NULL,
    contingency_type TEXT NOT NULL,
    list_status_type TEXT NOT NULL,
    list_order_status TEXT NOT NULL,
    legs_json TEXT NOT NULL CHECK (json_valid(legs_json)),
    exchange_time_ms INTEGER NOT NULL,
    local_received_ms INTEGER NOT NULL,
    order_intent_id TEXT NOT NULL,
    PRIMARY KEY (symbol, order_list_id)
) STRICT;
CREATE TRIGGER order_lists_never_reopened BEFORE UPDATE ON order_lists
WHEN OLD.list_order_status IN ('ALL_DONE', 'REJECT') AND NEW.list_order_status = 'EXECUTING'
BEGIN SELECT RAISE(ABORT, 'an ended list is never reopened'); END;

CREATE TABLE fills (
    symbol TEXT NOT NULL,
    trade_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    client_order_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    price TEXT NOT NULL CHECK (price <> '' AND price NOT GLOB '*[^0-9.]*'),
    qty TEXT NOT NULL CHECK (qty <> '' AND qty NOT GLOB '*[^0-9.]*'),
    commission TEXT NOT NULL CHECK (commission <> '' AND commission NOT GLOB '*[^0-9.-]*'),
    commission_asset TEXT NOT NULL,
    is_maker INTEGER NOT NULL CHECK (is_maker IN (0, 1)),
    exchange_time_ms INTEGER NOT NULL,
    local_received_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    order_intent_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    fee_quote TEXT NOT NULL CHECK (fee_quote <> '' AND fee_quote NOT GLOB '*[^0-9.-]*'),
    fee_unpriced INTEGER NOT NULL CHECK (fee_unpriced IN (0, 1)),
    source TEXT NOT NULL,
    PRIMARY KEY (symbol, trade_id)
) STRICT;
CREATE INDEX fills_decision ON fills (decision_id);
CREATE INDEX fills_time ON fills (exchange_time_ms);
CREATE TRIGGER fills_immutable BEFORE UPDATE ON fills
BEGIN SELECT RAISE(ABORT, 'fills are never changed'); END;
CREATE TRIGGER fills_kept BEFORE DELETE ON fills
BEGIN SELECT RAISE(ABORT, 'fills are never deleted'); END;
