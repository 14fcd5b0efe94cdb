-- What may be pruned, what stays in its place, and the packed days of the trail.

-- One whole segment of the chain that was deleted; the hashes let the chain go on over it.
CREATE TABLE chain_anchors (
    first_row INTEGER PRIMARY KEY,
    last_row INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    first_seq INTEGER NOT NULL CHECK (first_seq > 0),
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms >= from_ms),
    prev_hash TEXT NOT NULL CHECK (length(prev_hash) IN (0, 64)),
    last_hash TEXT NOT NULL CHECK (length(last_hash) = 64),
    CHECK (last_row - first_row = last_seq - first_seq)
) STRICT;

CREATE TRIGGER chain_anchors_fit BEFORE INSERT ON chain_anchors
WHEN NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.first_row AND run_id = NEW.run_id
                 AND seq = NEW.first_seq AND ts_ms = NEW.from_ms AND prev_hash = NEW.prev_hash)
    OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.last_row AND run_id = NEW.run_id
                   AND seq = NEW.last_seq AND ts_ms = NEW.until_ms AND hash = NEW.last_hash)
    OR NEW.last_row - NEW.first_row + 1
        <> (SELECT count(*) FROM audit_events WHERE id BETWEEN NEW.first_row AND NEW.last_row)
    OR NEW.last_row >= (SELECT max(id) FROM audit_events)
BEGIN SELECT RAISE(ABORT, 'an anchor names both ends of a whole segment'); END;
CREATE TRIGGER chain_anchors_immutable BEFORE UPDATE ON chain_anchors
BEGIN SELECT RAISE(ABORT, 'anchors are never changed'); END;
CREATE TRIGGER chain_anchors_kept BEFORE DELETE ON chain_anchors
BEGIN SELECT RAISE(ABORT, 'anchors are never deleted'); END;

-- Only what is routine may go, and only behind an anchor: whatever led to an order stays for ever.
DROP TRIGGER audit_events_kept;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
WHEN OLD.order_intent_id <> ''
    OR OLD.event_type NOT IN (
        'UNIVERSE_ELIGIBILITY', 'RANK_TOPN', 'DEEP_SCAN', 'TOPK_SELECTION', 'SNAPSHOT_BUILT',
        'DECISION_PROPOSED', 'AIGATE_CALL', 'RISK_VERDICT', 'RECONCILE_REST', 'TIME_SYNC',
        'RATE_LIMIT', 'FILTERS_REFRESHED', 'DISK_HEALTH_SAMPLE', 'DB_WRITER_BACKPRESSURE',
        'WEBUI_REQUEST')
    OR (OLD.decision_id <> ''
        AND EXISTS (SELECT 1 FROM order_intents WHERE decision_id = OLD.decision_id))
    OR NOT EXISTS (SELECT 1 FROM chain_anchors WHERE first_row <= OLD.id AND last_row >= OLD.id
                   ORDER BY first_row DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'an audit event is kept unless it is routine and behind an anchor'); END;

-- A day of the trail that was packed, with the hash of its file; `removed_at_ms` once it is gone.
CREATE TABLE trail_days (
    day TEXT PRIMARY KEY CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    lines INTEGER NOT NULL CHECK (lines >= 0),
    packed_at_ms INTEGER NOT NULL,
    removed_at_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER trail_days_once BEFORE UPDATE ON trail_days
WHEN OLD.removed_at_ms <> 0 OR NEW.removed_at_ms = 0 OR NEW.day <> OLD.day
    OR NEW.sha256 <> OLD.sha256 OR NEW.lines <> OLD.lines OR NEW.packed_at_ms <> OLD.packed_at_ms
BEGIN SELECT RAISE(ABORT, 'a packed day changes once, when its file is removed'); END;
CREATE TRIGGER trail_days_kept BEFORE DELETE ON trail_days
BEGIN SELECT RAISE(ABORT, 'what was packed stays on record'); END;

-- A snapshot is looked up by the decisions on it before it may go.
CREATE INDEX decisions_snapshot ON decisions (snapshot_id) WHERE snapshot_id <> '';
CREATE INDEX snapshots_at ON snapshots (at_ms);
