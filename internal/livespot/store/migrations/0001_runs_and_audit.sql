-- Runs, the chained event log, and the runtime's own state.
-- Money and quantities are decimal text, times epoch milliseconds, JSON is validated.

CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    mode TEXT NOT NULL CHECK (mode IN ('LIVE', 'SHADOW', 'SIM', 'REPLAY')),
    started_at_ms INTEGER NOT NULL,
    config_hash TEXT NOT NULL,
    config_json TEXT NOT NULL CHECK (json_valid(config_json)),
    prompt_hash TEXT NOT NULL,
    version TEXT NOT NULL,
    platform TEXT NOT NULL,
    account_label TEXT NOT NULL,
    previous_run_id TEXT NOT NULL,
    ended_at_ms INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER NOT NULL DEFAULT -1,
    end_reasons TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(end_reasons)),
    clean INTEGER NOT NULL DEFAULT 0 CHECK (clean IN (0, 1))
) STRICT;
CREATE INDEX runs_started ON runs (started_at_ms);

CREATE TRIGGER runs_end_once BEFORE UPDATE ON runs
WHEN OLD.ended_at_ms <> 0 OR NEW.run_id <> OLD.run_id OR NEW.started_at_ms <> OLD.started_at_ms
BEGIN SELECT RAISE(ABORT, 'an ended run is never rewritten'); END;
CREATE TRIGGER runs_kept BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are never deleted'); END;

CREATE TABLE audit_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    ts_ms INTEGER NOT NULL,
    cycle_id TEXT NOT NULL,
    mode TEXT NOT NULL,
    stage TEXT NOT NULL,
    event_type TEXT NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    snapshot_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    order_intent_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    exchange_time_ms INTEGER NOT NULL,
    local_received_ms INTEGER NOT NULL,
    data TEXT NOT NULL CHECK (json_valid(data)),
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    UNIQUE (run_id, seq)
) STRICT;
CREATE INDEX audit_events_ts ON audit_events (ts_ms);
CREATE INDEX audit_events_type ON audit_events (event_type, id);
CREATE INDEX audit_events_decision ON audit_events (decision_id) WHERE decision_id <> '';
CREATE INDEX audit_events_intent ON audit_events (order_intent_id) WHERE order_intent_id <> '';
CREATE INDEX audit_events_symbol ON audit_events (symbol, ts_ms) WHERE symbol <> '';

-- A second writer, or a writer that lost its place, cannot append.
CREATE TRIGGER audit_events_chain BEFORE INSERT ON audit_events
WHEN NEW.prev_hash <> coalesce((SELECT hash FROM audit_events ORDER BY id DESC LIMIT 1), '')
BEGIN SELECT RAISE(ABORT, 'the event does not continue the hash chain'); END;
CREATE TRIGGER audit_events_contiguous BEFORE INSERT ON audit_events
WHEN NEW.seq <> 1 + coalesce((SELECT max(seq) FROM audit_events WHERE run_id = NEW.run_id), 0)
BEGIN SELECT RAISE(ABORT, 'the event does not continue the sequence of its run'); END;
CREATE TRIGGER audit_events_immutable BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END;

CREATE TABLE sysmodes (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('NORMAL', 'DEGRADE', 'PAUSE', 'EXIT')),
    previous TEXT NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    active_json TEXT NOT NULL CHECK (json_valid(active_json)),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sysmodes_run ON sysmodes (run_id, id);

CREATE TABLE health_samples (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    sample_json TEXT NOT NULL CHECK (json_valid(sample_json))
) STRICT;
CREATE INDEX health_samples_at ON health_samples (at_ms);

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('INFO', 'WARN', 'CRIT')),
    code TEXT NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    text TEXT NOT NULL,
    symbol TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX alerts_at ON alerts (at_ms);

CREATE TABLE operator_commands (
    nonce TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE daily_summaries (
    day TEXT PRIMARY KEY CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    summary_json TEXT NOT NULL CHECK (json_valid(summary_json)),
    at_ms INTEGER NOT NULL
) STRICT;
