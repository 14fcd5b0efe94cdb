-- What follows from fills, what was reserved, reconciled, and done by hand or as an experiment.

CREATE TABLE positions (
    symbol TEXT NOT NULL,
    position_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    entry_intent_id TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('FLAT', 'OPENING', 'UNPROTECTED', 'PROTECTED',
                                         'TRAILING', 'CLOSING', 'DUST')),
    qty TEXT NOT NULL CHECK (qty <> '' AND qty NOT GLOB '*[^0-9.]*'),
    avg_price TEXT NOT NULL CHECK (avg_price <> '' AND avg_price NOT GLOB '*[^0-9.]*'),
    cost_quote TEXT NOT NULL CHECK (cost_quote <> '' AND cost_quote NOT GLOB '*[^0-9.-]*'),
    tp_price TEXT NOT NULL CHECK (tp_price <> '' AND tp_price NOT GLOB '*[^0-9.]*'),
    sl_price TEXT NOT NULL CHECK (sl_price <> '' AND sl_price NOT GLOB '*[^0-9.]*'),
    tp_bps INTEGER NOT NULL,
    sl_bps INTEGER NOT NULL,
    realised_quote TEXT NOT NULL
        CHECK (realised_quote <> '' AND realised_quote NOT GLOB '*[^0-9.-]*'),
    fees_quote TEXT NOT NULL CHECK (fees_quote <> '' AND fees_quote NOT GLOB '*[^0-9.-]*'),
    fee_unpriced INTEGER NOT NULL CHECK (fee_unpriced IN (0, 1)),
    dust_qty TEXT NOT NULL CHECK (dust_qty <> '' AND dust_qty NOT GLOB '*[^0-9.]*'),
    protection_list_id INTEGER NOT NULL,
    protection_intent_id TEXT NOT NULL,
    protected_qty TEXT NOT NULL CHECK (protected_qty <> '' AND protected_qty NOT GLOB '*[^0-9.]*'),
    opened_at_ms INTEGER NOT NULL,
    unprotected_since_ms INTEGER NOT NULL,
    unprotected_ms INTEGER NOT NULL,
    closed_at_ms INTEGER NOT NULL,
    exit_reason TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (symbol, position_id)
) STRICT;
CREATE UNIQUE INDEX positions_one_open_per_symbol ON positions (symbol)
    WHERE phase NOT IN ('FLAT', 'DUST');
CREATE INDEX positions_closed ON positions (closed_at_ms);
CREATE TRIGGER positions_kept BEFORE DELETE ON positions
BEGIN SELECT RAISE(ABORT, 'positions are never deleted'); END;

CREATE TABLE reserves (
    decision_id TEXT PRIMARY KEY,
    symbol TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('RESERVED', 'BOUND', 'CONVERTED', 'RELEASED')),
    amount_quote TEXT NOT NULL CHECK (amount_quote <> '' AND amount_quote NOT GLOB '*[^0-9.]*'),
    order_intent_id TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX reserves_live ON reserves (updated_at_ms) WHERE state IN ('RESERVED', 'BOUND');

CREATE TABLE reconcile_reports (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    cycle_id TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    drift_score_x10000 INTEGER NOT NULL,
    label TEXT NOT NULL CHECK (label IN ('OK', 'WARN', 'BAD')),
    scope TEXT NOT NULL,
    diffs_json TEXT NOT NULL CHECK (json_valid(diffs_json))
) STRICT;
CREATE INDEX reconcile_reports_at ON reconcile_reports (started_at_ms);

CREATE TABLE manual_exposures (
    exposure_id TEXT PRIMARY KEY,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    qty TEXT NOT NULL CHECK (qty <> '' AND qty NOT GLOB '*[^0-9.]*'),
    note TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    closed_at_ms INTEGER NOT NULL DEFAULT 0,
    close_note TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX manual_exposures_open ON manual_exposures (symbol) WHERE closed_at_ms = 0;

CREATE TABLE experiments (
    experiment_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hypothesis TEXT NOT NULL,
    data_set_id TEXT NOT NULL,
    data_set_sha256 TEXT NOT NULL,
    config_hash TEXT NOT NULL,
    plan_json TEXT NOT NULL CHECK (json_valid(plan_json)),
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE experiment_results (
    experiment_id TEXT NOT NULL REFERENCES experiments (experiment_id),
    variant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    metrics_json TEXT NOT NULL CHECK (json_valid(metrics_json)),
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (experiment_id, variant, run_id)
) STRICT;
