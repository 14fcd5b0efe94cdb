-- What a risk verdict looked at beside the account and the counters, so that it can be judged again.

ALTER TABLE risk_verdicts ADD COLUMN inputs_json TEXT NOT NULL DEFAULT '{}'
    CHECK (json_valid(inputs_json));
