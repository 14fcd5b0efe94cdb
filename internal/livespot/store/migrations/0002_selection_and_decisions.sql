-- What was seen, ranked, proposed, asked of the gate and judged by risk.

CREATE TABLE universe_scans (
    cycle_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    run_id TEXT NOT NULL,
    eligible INTEGER NOT NULL CHECK (eligible IN (0, 1)),
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    features_json TEXT NOT NULL CHECK (json_valid(features_json)),
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (cycle_id, symbol)
) STRICT;
CREATE INDEX universe_scans_symbol ON universe_scans (symbol, at_ms);
CREATE INDEX universe_scans_at ON universe_scans (at_ms);

CREATE TABLE cycle_rankings (
    cycle_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    rank INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    run_id TEXT NOT NULL,
    score_x10000 INTEGER NOT NULL,
    dropped INTEGER NOT NULL CHECK (dropped IN (0, 1)),
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    features_json TEXT NOT NULL CHECK (json_valid(features_json)),
    config_hash TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (cycle_id, kind, symbol)
) STRICT;
CREATE INDEX cycle_rankings_symbol ON cycle_rankings (symbol, at_ms);
CREATE INDEX cycle_rankings_at ON cycle_rankings (at_ms);

CREATE TABLE cycle_selections (
    cycle_id TEXT NOT NULL,
    rank INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    run_id TEXT NOT NULL,
    score_x10000 INTEGER NOT NULL,
    chosen INTEGER NOT NULL CHECK (chosen IN (0, 1)),
    incumbent_cycles INTEGER NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    features_json TEXT NOT NULL CHECK (json_valid(features_json)),
    config_hash TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (cycle_id, symbol)
) STRICT;
CREATE INDEX cycle_selections_symbol ON cycle_selections (symbol, at_ms);
CREATE INDEX cycle_selections_at ON cycle_selections (at_ms);

CREATE TABLE symbol_health (
    symbol TEXT PRIMARY KEY,
    quarantined_until_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    counters_json TEXT NOT NULL CHECK (json_valid(counters_json)),
    updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshots (
    snapshot_id TEXT PRIMARY KEY,
    snapshot_hash TEXT NOT NULL,
    symbol TEXT NOT NULL,
    run_id TEXT NOT NULL,
    cycle_id TEXT NOT NULL,
    exchange_time_ms INTEGER NOT NULL,
    snapshot_json TEXT NOT NULL CHECK (json_valid(snapshot_json)),
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX snapshots_symbol ON snapshots (symbol, at_ms);

-- One decision id may be proposed in several cycles: its hash knows nothing of cycles.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    decision_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    cycle_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    outcome TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    edge_score_x10000 INTEGER NOT NULL,
    edge_bps_expected INTEGER NOT NULL,
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    decision_json TEXT NOT NULL CHECK (json_valid(decision_json)),
    original_decision_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (decision_id, cycle_id, symbol, outcome)
) STRICT;
CREATE INDEX decisions_symbol ON decisions (symbol, at_ms);
CREATE INDEX decisions_at ON decisions (at_ms);

CREATE TABLE ai_gate_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    cycle_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    snapshot_hash TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    raw_hash TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    verdict TEXT NOT NULL CHECK (verdict IN ('ALLOW', 'BLOCK', 'MODIFY', 'ERROR')),
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    model TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    modify_applied INTEGER NOT NULL CHECK (modify_applied IN (0, 1)),
    patch_redacted TEXT NOT NULL,
    error_code TEXT NOT NULL,
    error_detail_redacted TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX ai_gate_events_decision ON ai_gate_events (decision_id);
CREATE INDEX ai_gate_events_at ON ai_gate_events (at_ms);

CREATE TABLE risk_verdicts (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    cycle_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('ALLOW', 'BLOCK')),
    approved_qty TEXT NOT NULL
        CHECK (approved_qty <> '' AND approved_qty NOT GLOB '*[^0-9.-]*'),
    reasons TEXT NOT NULL CHECK (json_valid(reasons)),
    limits_json TEXT NOT NULL CHECK (json_valid(limits_json)),
    account_json TEXT NOT NULL CHECK (json_valid(account_json)),
    counters_json TEXT NOT NULL CHECK (json_valid(counters_json)),
    at_ms INTEGER NOT NULL,
    CHECK (verdict = 'ALLOW' OR reasons <> '[]')
) STRICT;
CREATE INDEX risk_verdicts_decision ON risk_verdicts (decision_id);
CREATE INDEX risk_verdicts_at ON risk_verdicts (at_ms);

CREATE TABLE risk_counters (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    counters_json TEXT NOT NULL CHECK (json_valid(counters_json)),
    updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE candles (
    symbol TEXT NOT NULL,
    interval TEXT NOT NULL,
    open_time_ms INTEGER NOT NULL,
    open TEXT NOT NULL CHECK (open <> '' AND open NOT GLOB '*[^0-9.]*'),
    high TEXT NOT NULL CHECK (high <> '' AND high NOT GLOB '*[^0-9.]*'),
    low TEXT NOT NULL CHECK (low <> '' AND low NOT GLOB '*[^0-9.]*'),
    close TEXT NOT NULL CHECK (close <> '' AND close NOT GLOB '*[^0-9.]*'),
    volume TEXT NOT NULL CHECK (volume <> '' AND volume NOT GLOB '*[^0-9.]*'),
    PRIMARY KEY (symbol, interval, open_time_ms)
) STRICT, WITHOUT ROWID;
