"""The catalogue of reason codes: what each means and what the operator does about it."""

from dataclasses import dataclass

from livespot.contracts.codes import NUMBERS, ReasonCode


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One line of the catalogue.

    `by_itself` is what the system does about it without being asked, where that is more than to
    record it. `reserved` is why this version never raises the code; empty for one that it does.
    `over` is how a person can tell that it is past.
    """

    meaning: str
    action: str
    by_itself: str = ""
    reserved: str = ""
    over: str = ""


def number_of(code: ReasonCode) -> int:
    """The documentation number of a code; its thousands tell the block."""
    return NUMBERS[code]


_ROWS = """
ALERT_RAISED | Something needs a person to look at it. | Read the alert's own text and reasons.
CLOSE_SAFELY_DUST | What is left of a position is below the exchange's minimum and cannot be sold. | Nothing; convert it on the exchange, or leave it for the next position in this symbol.
CLOSE_SAFELY_FAILED | An emergency close did not sell the position. | Sell the position on the exchange yourself, then resume.
DB_WRITER_BACKPRESSURE | The audit writer cannot keep up. | Look at disk latency; another program may be using the disk.
DB_WRITER_QUEUE_HIGH | The audit writer's queue is filling up. | Look at disk latency and free space.
DB_WRITER_QUEUE_FULL | The audit writer's queue is full or far behind. | Find and end what slows the disk, then resume with a reason.
DISK_LOW_DEGRADE | Free space on the audit volume is low. | Free some space; old backups and logs in var/ are candidates.
DISK_LOW_PAUSE | Free space on the audit volume is nearly gone. | Free space now, then resume with a reason.
DRIFT_LIMIT_EXCEEDED | Our records and the exchange differ by more than the limit. | Compare open orders and balances on the exchange with the panel, then resume.
ENTER_DEGRADE | New entries are off; everything else goes on. | Read the reasons shown with it; most clear by themselves.
ENTER_EXIT | The process is shutting down. | Nothing if you asked for it; otherwise read the reasons.
ENTER_PAUSE | Only risk-reducing actions are allowed until you resume. | Deal with the reasons shown with it, then run: livespot resume --reason "...".
LOOP_STUCK_DEGRADE | A part of the program did not run for seconds. | Check the machine's load; a single occurrence is harmless.
LOOP_STUCK_PAUSE | A part of the program did not run for far too long. | Check CPU, memory and swap, then resume.
PAUSE_NEEDS_MANUAL_PROTECTION | A position has had no live stop for too long. | Place a stop or sell the position on the exchange now.
REST_STALE_DEGRADE | No REST answer has confirmed orders and balances for a while. | Check the network and the exchange's status page.
REST_STALE_PAUSE | No REST answer for a minute: orders and balances are unconfirmed. | Check the network, then resume.
WS_STALE_DEGRADE | The market stream is silent. | Nothing; it reconnects by itself. Check the network if it lasts.
WS_STALE_PAUSE | The market stream is silent and REST does not answer either. | Check the network and the exchange's status page, then resume.
PAUSE_NEEDS_MANUAL | The state after a restart is ambiguous; a person must decide. | Compare the exchange with the panel, correct by hand, then resume.
ENTER_NORMAL | Everything is well; entries are allowed. | Nothing.
OPERATOR_PAUSE | You paused the system. | Resume when you are ready: livespot resume --reason "...".
OPERATOR_RESUME | You resumed the system. | Nothing; entries return after the stability window.
OPERATOR_STOP | You stopped the system. | Nothing; protections stay on the exchange.
KILL_SWITCH_FILE | The STOP file exists. | Remove the file before the next start.
ACTOR_FAILED | A part of the program raised an error and is being restarted. | Read the alert; if it returns, stop and keep the logs.
ACTOR_RESTARTED | A failed part of the program works again. | Nothing; watch for a repeat.
AUDIT_WRITE_FAILED | An event could not be written to the database. | Check the disk and its permissions; trading stays off until it works.
UNCLEAN_SHUTDOWN | The previous run ended without an ordered shutdown. | Nothing; recovery checks orders and positions before trading.
LIVE_LOCK_MISSING | Live trading is not unlocked. | Follow the printed list: flag, lock file, secrets, migrated database.
CHECKLIST_FAILED | A point of the start checklist did not pass. | Fix the point named in the text.
MANUAL_EXPOSURE_ACTIVE | You registered a position of your own in this symbol. | Close the registration when your position is gone: livespot exposure close SYMBOL --reason "...".
BOOT_RECOVERY | The previous run's orders and positions are being checked against the exchange. | Wait; it takes seconds.
DB_INTEGRITY_FAIL | The database is damaged. | Restore the last verified backup; do not trade on this file.
DB_ROLLBACK_DETECTED | The database was put back to an earlier state: the audit trail holds events that it lacks, or a backup was restored that may lack some. | Compare open orders and balances with the exchange, and find out how an old file got there, before you resume.
SECOND_INSTANCE | Another process uses this database or account. | Stop one of the two.
SUSPEND_DETECTED | The machine slept and time jumped. | Turn off suspend on this machine; check positions.
WATCHDOG_KILL | The event loop was blocked for so long that the watchdog ended the process. | Keep the crash note; check the machine; the next start recovers.
OPERATOR_RELEASE | You asked to release a quarantined symbol. | Nothing; if it was refused, the alert says why.
RESTORED_FROM_BACKUP | This is the first start since livespot restore. | Nothing; if the backup may lack something, DB_ROLLBACK_DETECTED says so.
AIGATE_MODIFY_INVALID | The model tried to change something it may not change. | Nothing; the entry was blocked.
AIGATE_PARSE_FAIL | The model's answer was not one valid JSON object. | Check model and prompt if it repeats.
AIGATE_REASON_UNKNOWN | The model used a reason code that does not exist. | Check model and prompt if it repeats.
AIGATE_SCHEMA_INVALID | The model's answer does not fit the schema. | Check model and prompt if it repeats.
AIGATE_TIMEOUT | The model did not answer in time. | Check the model server; with ai_dec 2 resume afterwards.
AIGATE_HTTP_ERROR | The model server answered with an error or not at all. | Check address, key and quota; with ai_dec 2 resume afterwards.
AIGATE_BLOCKED | The model rejected this entry. | Nothing.
AIGATE_ALLOWED | The model had no objection. | Nothing.
AIGATE_MODIFIED | The model shrank or tightened the entry. | Nothing.
AIGATE_DISABLED | The gate is switched off in the configuration. | Nothing, if that is what you want.
AIGATE_BUDGET | The gate's hourly or daily number of calls is used up. | Raise the budget or wait; with ai_dec 2 resume afterwards.
AIGATE_LATE | The model answered after the decision had expired. | Nothing; the entry was dropped.
AIGATE_BLOCK_STANDS | The model rejected an entry in this symbol and regime a short while ago. | Nothing; a later proposal is put to it again.
BINANCE_TIMESTAMP_REJECTED | The exchange refused a request because of its timestamp. | Check the machine's time synchronisation.
CLIENT_ORDER_ID_INVALID | An order id breaks the exchange's rule. | Report it: this should be impossible.
CLIENT_ORDER_ID_REUSE_BLOCK | The same decision already has an intent, so it is not sent again. | Nothing; this is the protection against duplicates.
FILTERS_DRIFT_DETECTED | The exchange shows a filter this version does not know. | Install a version of livespot that knows it, once there is one.
FILTERS_REFRESHED | The symbol's trading rules changed and were reloaded. | Nothing.
INTENT_CONFIRMED_BY_REST | An order whose outcome was unknown exists after all. | Nothing; it is managed from here.
INTENT_NOT_FOUND_BY_REST | An order whose outcome was unknown is proven never to have existed. | Nothing.
INTENT_SENT_UNKNOWN | An order may or may not have reached the exchange. | Wait: it is being looked up and never resent.
ORDER_CANCEL_REJECTED | The exchange refused a cancel. | Nothing; the order's state is being queried.
ORDER_SUBMIT_REJECTED | The exchange refused an order. | Nothing; if it repeats, read the exchange's code shown with it.
ORDER_SUBMIT_TIMEOUT | No answer to an order arrived in time. | Wait: it is being looked up and never resent.
PROTECTION_INSTALL_FAILED | A stop or take-profit could not be placed. | Watch: livespot tries the next form of protection at once.
PROTECTION_INVALID_FILTER | A protection order would break the symbol's rules. | Nothing; the entry was blocked or the position is being closed.
PROTECTION_INVALID_MIN_NOTIONAL | The position would be too small to protect. | Raise the size or leave this symbol.
RATE_LIMIT_418 | The exchange has banned this address for a while. | Wait until the ban ends; find out what else uses this address.
RATE_LIMIT_429 | The exchange asked to slow down. | Nothing; requests wait.
RECONCILE_DIFF_DETECTED | The exchange's answer differed from our records, and the records were corrected. | Nothing, if it is rare.
RETRY_AFTER_APPLIED | Requests wait as long as the exchange asked. | Nothing.
EXCHANGE_MAINTENANCE | The exchange is in maintenance. | Wait.
API_KEY_REJECTED | The exchange does not accept the API key. | Check key, rights and allowed addresses; resume afterwards.
USER_STREAM_LOST | The account's event stream is down; REST is polled more often instead. | Nothing; it reconnects.
ORDER_EXPIRED_BY_EXCHANGE | The exchange ended one of our orders. | Nothing; if it was protection it is being replaced.
FOREIGN_ORDER_DETECTED | An order on the account is not ours. | If it is yours, finish or cancel it; until then its symbol takes no entry.
EXCHANGE_HALTED | The exchange does not accept orders for this symbol. | Wait; protections stay where they are.
CLOCK_DRIFT_WARN | The machine's clock differs from the exchange's. | Turn on time synchronisation.
IMBALANCE_AGAINST | The order book's imbalance speaks against buying. | Nothing.
MICROVOL_SPIKE | Short-term volatility is higher than usual. | Nothing.
REGIME_MISMATCH | The market's regime is not the one this plan needs. | Nothing.
REGIME_NO_TRADE | A falling trend is never bought. | Nothing.
REGIME_WEAK | No market regime is clear enough. | Nothing.
SPREAD_BAD_VS_NORMAL | The spread is wide compared with the last minute's. | Nothing.
SPREAD_OPENING | The spread is widening. | Nothing.
SYMBOL_QUARANTINED | The symbol takes no entries for an hour after repeated trouble. | Nothing; it ends by itself, or by hand: livespot release SYMBOL --reason "...".
TIME_SYNC_FAIL | The exchange's time could not be measured. | Check the network and the machine's clock.
WS_OOO_EVENT | An event came too late or twice and was dropped. | Nothing, if it is rare.
SYMBOL_NOT_TRADING | The symbol is not open for trading. | Nothing.
UNIVERSE_VOLUME_LOW | Too little was traded in 24 hours. | Nothing.
UNIVERSE_TRADES_LOW | Too few trades in 24 hours. | Nothing.
UNIVERSE_MOMENTUM_LOW | The price rose too little in 24 hours. | Nothing.
DATA_GAP_DETECTED | Candles are missing and are being fetched. | Nothing.
DATA_DUPLICATE_TIMESTAMP | A candle came twice; the second was dropped. | Nothing.
MD_BOOK_GAP | The order book missed an update and is being rebuilt. | Nothing.
MD_PRICE_INSANE | A price made no sense and was dropped. | Nothing; the symbol sits out.
UNIVERSE_RANK_LOW | Other symbols ranked better, and only the best few are looked at closely. | Nothing; raise selection.topn to look at more.
WATCHLIST_FULL | Better candidates filled the watch list. | Nothing; raise selection.topk to watch more.
WATCHLIST_CHURN_GUARD | A recently chosen symbol kept its place, because this one was not better by enough. | Nothing; it can take the place in the next cycles.
RISK_CANCEL_REPLACE_LIMIT_HIT | Too many reprices of this symbol within seconds. | Nothing; it cools down.
RISK_CHURN_LIMIT_HIT | Too many orders or cancels of this symbol within seconds. | Nothing; it cools down.
RISK_COOLDOWN_ACTIVE | The symbol rests after a stop-loss. | Nothing.
RISK_CORRELATION_TOO_HIGH | The symbol moves together with a position you already have. | Nothing.
RISK_DAILY_LOSS_LIMIT | Today's loss limit is reached; no more entries today. | Nothing until 00:00 UTC; review the day.
RISK_DIVERSIFY_APPLIED | A correlated candidate gave its place to the next best. | Nothing.
RISK_DRAWDOWN_LIMIT | Equity fell too far from today's peak; no more entries today. | Nothing until 00:00 UTC; review the day.
RISK_ENTRY_ALREADY_PENDING | An entry for this symbol is already on its way. | Nothing.
RISK_EXPOSURE_LIMIT | The exposure limit leaves no room. | Nothing.
RISK_INSUFFICIENT_FREE_BALANCE | Too little free quote balance. | Deposit, or lower the size.
RISK_MAX_OPEN_ORDERS | The allowed number of open entries is reached. | Nothing.
RISK_MAX_TRADES_DAY | Today's number of trades is reached. | Nothing until 00:00 UTC.
RISK_MAX_TRADES_WINDOW | This symbol was traded often enough within the hour. | Nothing.
RISK_POSITION_ALREADY_OPEN | The symbol already has a position. | Nothing.
RISK_SIZE_INVALID | No valid size fits the limits and the symbol's rules. | Raise limits or balance if you expected a trade.
RISK_SYMBOL_LOSS_STREAK | Three losing exits in a row in this symbol. | Nothing; it rests for one window.
RISK_UNFILLED_ORDER_COUNT_RISK | The exchange's limit on unfilled orders is near. | Nothing; entries wait.
RISK_OK | Risk had no objection. | Nothing.
RISK_SYSMODE_BLOCKS_ENTRY | Entries are off in the current mode. | Look at the mode's own reasons.
RISK_SIZE_CAPPED | A limit made the size smaller. | Nothing.
STRAT_CONFIG_INVALID | The configuration has errors. | Run: livespot config check.
STRAT_EDGE_BELOW_MIN | The reward margin is below the minimum after costs. | Nothing; in calm markets this is the usual answer.
STRAT_EDGE_OK | The reward margin is above the minimum. | Nothing.
STRAT_ENTRY_ABORTED_COST | The entry was given up because its cost had risen. | Nothing.
STRAT_ENTRY_MAKER_TTL | The entry rests as a maker order; when its time is up it is repriced. | Nothing.
STRAT_ENTRY_TIMEOUT | The entry did not fill in time and was given up. | Nothing.
STRAT_EXIT_ATR_TP_SL | Stop and target come from the average true range. | Nothing.
STRAT_EXIT_INVALID | Stop or target make no sense at this price. | Nothing.
STRAT_FALLBACK_ALLOWED | If the resting order does not fill, a bounded taker order may follow. | Nothing.
STRAT_FALLBACK_BLOCKED | No taker order may follow: spread, slippage or edge forbid it. | Nothing.
STRAT_FALLBACK_IOC | The entry continued as an immediate-or-cancel limit order. | Nothing.
STRAT_FALLBACK_MARKET | The entry continued as a market order. | Nothing.
STRAT_IMBALANCE_AGAINST | The order book's imbalance speaks against buying. | Nothing.
STRAT_IMBALANCE_OK | The order book's imbalance speaks for buying. | Nothing.
STRAT_INPUT_INVALID | A value the strategy needs is invalid. | Nothing, if it is rare.
STRAT_MAKER_REJECTED_CROSSES_BOOK | The post-only order would have traded at once and was refused. | Nothing; it counts as an attempt.
STRAT_MAKER_REPRICE | The resting entry follows the market. | Nothing.
STRAT_MICROSTRUCT_OK | The spread and its change are within limits. | Nothing.
STRAT_MISSING_FIELD | A value the strategy needs is missing. | Nothing, if it is rare.
STRAT_OK | Every check of the strategy passed. | Nothing.
STRAT_PULLBACK_FAIL | The price is not the required distance below its average. | Nothing.
STRAT_PULLBACK_OK | The price has pulled back as required. | Nothing.
STRAT_REGIME_RANGE_OK | The market ranges clearly. | Nothing.
STRAT_REGIME_TREND_OK | The market trends upwards clearly. | Nothing.
STRAT_REGIME_WEAK | No market regime is clear enough. | Nothing.
STRAT_SPREAD_OPENING | The spread is widening. | Nothing.
STRAT_SPREAD_TOO_WIDE | The spread is too wide. | Nothing.
STRAT_TRAILING_ARM_ALLOWED | The profit trails: a take-profit that follows the price replaces the resting one and its maker fee. | Nothing.
STRAT_TRAILING_ARM_BLOCKED | No trailing stop for this position; target and stop are fixed. | Nothing.
STRAT_VOLUME_LOW | The last candle's volume is too low. | Nothing.
STRAT_VOLUME_OK | The last candle's volume is high enough. | Nothing.
STRAT_WARMUP | Too little data has been seen so far. | Wait a minute.
"""

_BY_ITSELF = """
CLOSE_SAFELY_FAILED | Asks for PAUSE and keeps whatever protection still stands.
DB_WRITER_BACKPRESSURE | Stops new entries until the writer has caught up.
DB_WRITER_QUEUE_HIGH | Stops new entries; ordinary events wait for room in the queue.
DB_WRITER_QUEUE_FULL | Goes to PAUSE; nothing is dropped, writers wait.
DISK_LOW_DEGRADE | Stops new entries.
DISK_LOW_PAUSE | Goes to PAUSE.
DRIFT_LIMIT_EXCEEDED | Goes to PAUSE; corrects its records to match the exchange.
ENTER_DEGRADE | Cancels working entries, keeps every protection, and returns to NORMAL once nothing has been wrong for the stability window.
ENTER_PAUSE | Keeps every protection on the exchange and allows only what reduces risk.
ENTER_EXIT | Takes no more entries, cancels working ones, waits for answers, and leaves the protections on the exchange.
LOOP_STUCK_DEGRADE | Stops new entries.
LOOP_STUCK_PAUSE | Closes the send gate from a separate thread, then asks for PAUSE.
PAUSE_NEEDS_MANUAL_PROTECTION | Goes to PAUSE and keeps trying to protect or close the position.
REST_STALE_DEGRADE | Stops new entries and keeps asking.
REST_STALE_PAUSE | Goes to PAUSE and keeps asking.
WS_STALE_DEGRADE | Stops new entries and reconnects.
WS_STALE_PAUSE | Goes to PAUSE and reconnects.
ACTOR_FAILED | Restarts the part after a second, in DEGRADE or, for orders and positions, in PAUSE; ends the process at the third failure in ten minutes.
AUDIT_WRITE_FAILED | Ends the process with exit code 30; protections stay on the exchange.
UNCLEAN_SHUTDOWN | Looks up every unsettled order and every position before any new entry.
BOOT_RECOVERY | Asks the exchange about every unsettled intent, every position and the account.
WATCHDOG_KILL | Writes the stacks of all threads to the crash note and ends the process with exit code 20.
MANUAL_EXPOSURE_ACTIVE | Takes no entry in this symbol; a position of its own there stays managed.
OPERATOR_RELEASE | Ends the quarantine and resets its counters, or refuses and says why.
RESTORED_FROM_BACKUP | Records what was restored, from where, and what it replaced; compares orders, positions and balances with the exchange before any entry.
AIGATE_TIMEOUT | Blocks the entry and stops new ones for a moment.
AIGATE_HTTP_ERROR | Blocks the entry and stops new ones for a moment.
AIGATE_BUDGET | Blocks the entry without a call; with ai_dec 2 it counts as a failure and pauses.
AIGATE_BLOCK_STANDS | Ends the proposal without a call; asks again 30 s after a first rejection, and after up to 10 minutes while they go on.
BINANCE_TIMESTAMP_REJECTED | Measures the exchange's time again; the order is not repeated.
CLIENT_ORDER_ID_INVALID | Does not send the order.
CLIENT_ORDER_ID_REUSE_BLOCK | Drops the decision for this cycle.
INTENT_SENT_UNKNOWN | Stops new entries and asks for the order by its client id until the answer is certain.
ORDER_SUBMIT_TIMEOUT | Asks for the order by its client id; it is never sent again.
PROTECTION_INSTALL_FAILED | Tries another list, then a single stop, then a close at market.
RATE_LIMIT_418 | Sends nothing until the ban has ended.
RATE_LIMIT_429 | Sends nothing for as long as the exchange asked.
RECONCILE_DIFF_DETECTED | Corrects its records and counts the difference as drift.
API_KEY_REJECTED | Goes to PAUSE.
USER_STREAM_LOST | Reconnects, and asks for orders and balances by REST meanwhile.
ORDER_EXPIRED_BY_EXCHANGE | If it was a protection, places a new one.
FOREIGN_ORDER_DETECTED | Takes no entry in this symbol while the order is open.
EXCHANGE_MAINTENANCE | Does not repeat the order; a new entry needs a new decision.
EXCHANGE_HALTED | Does not repeat the order; a new entry needs a new decision.
SYMBOL_QUARANTINED | Takes no entry in the symbol until the quarantine ends; a position in it is still managed.
DATA_GAP_DETECTED | Fetches the missing candles; the symbol sits out until they are there.
RISK_DAILY_LOSS_LIMIT | Blocks entries until the day ends; positions stay managed.
RISK_DRAWDOWN_LIMIT | Blocks entries until the day ends; positions stay managed.
RISK_MAX_TRADES_DAY | Blocks entries until the day ends; positions stay managed.
RISK_COOLDOWN_ACTIVE | Blocks the symbol until the cool-down has passed.
RISK_UNFILLED_ORDER_COUNT_RISK | Stops repricing, and beyond a critical share of the limit every entry.
RISK_SIZE_CAPPED | Uses the smaller size.
"""

_OVER = """
CLOSE_SAFELY_FAILED | The position is gone from livespot status, and livespot resume is accepted.
DRIFT_LIMIT_EXCEEDED | livespot resume is accepted, and the next reconciles say OK.
DB_WRITER_QUEUE_FULL | livespot resume is accepted, and the writer's lag is back to milliseconds.
DISK_LOW_PAUSE | livespot resume is accepted; free space is above the limit.
ENTER_DEGRADE | ENTER_NORMAL follows.
ENTER_EXIT | The process has ended; livespot status says how.
ENTER_PAUSE | livespot resume is accepted; DEGRADE and then NORMAL follow.
LOOP_STUCK_PAUSE | livespot resume is accepted, and it does not come back.
PAUSE_NEEDS_MANUAL_PROTECTION | The position is PROTECTED or gone, and livespot resume is accepted.
REST_STALE_PAUSE | livespot resume is accepted; the REST age is below its limit.
WS_STALE_PAUSE | livespot resume is accepted; the stream's age is below its limit.
PAUSE_NEEDS_MANUAL | livespot resume is accepted.
OPERATOR_PAUSE | livespot resume is accepted; DEGRADE and then NORMAL follow.
OPERATOR_RESUME | ENTER_NORMAL follows.
OPERATOR_STOP | The process has ended with code 0, or 10 out of PAUSE.
KILL_SWITCH_FILE | The file is gone and the next start succeeds.
ACTOR_FAILED | ACTOR_RESTARTED follows and it does not come back within ten minutes.
AUDIT_WRITE_FAILED | livespot doctor --offline is green and the next start reaches NORMAL.
UNCLEAN_SHUTDOWN | The new run reaches NORMAL, or PAUSE with what it found.
LIVE_LOCK_MISSING | livespot live no longer lists it.
CHECKLIST_FAILED | ENTER_NORMAL follows.
MANUAL_EXPOSURE_ACTIVE | livespot exposure list shows none open in this symbol.
BOOT_RECOVERY | ENTER_NORMAL follows.
DB_INTEGRITY_FAIL | livespot doctor --offline passes the database's integrity.
DB_ROLLBACK_DETECTED | livespot resume is accepted, and you know how the old file got there.
SECOND_INSTANCE | One process is left, and livespot resume is accepted where it asked for PAUSE.
SUSPEND_DETECTED | The mode is NORMAL again, and every position is PROTECTED.
WATCHDOG_KILL | The next start reaches NORMAL, or PAUSE with what it found.
INTENT_SENT_UNKNOWN | INTENT_CONFIRMED_BY_REST or INTENT_NOT_FOUND_BY_REST names the same order.
ORDER_SUBMIT_TIMEOUT | INTENT_CONFIRMED_BY_REST or INTENT_NOT_FOUND_BY_REST names the same order.
PROTECTION_INSTALL_FAILED | The position is PROTECTED or gone.
BINANCE_TIMESTAMP_REJECTED | livespot doctor passes the clock.
CLOCK_DRIFT_WARN | livespot doctor passes the clock.
TIME_SYNC_FAIL | livespot doctor passes the clock.
FILTERS_DRIFT_DETECTED | A version that knows the filter is installed.
RATE_LIMIT_418 | Requests are answered again and the REST age is below its limit.
RATE_LIMIT_429 | Requests are answered again and the REST age is below its limit.
EXCHANGE_MAINTENANCE | The exchange takes orders again; its own page says when.
EXCHANGE_HALTED | The symbol is traded again; the exchange's own page says when.
API_KEY_REJECTED | livespot resume is accepted.
USER_STREAM_LOST | The stream is back and the account's age is below its limit.
ORDER_EXPIRED_BY_EXCHANGE | The position is PROTECTED or gone.
FOREIGN_ORDER_DETECTED | The order is filled or cancelled, and the next reconcile says OK.
SYMBOL_QUARANTINED | An hour has passed, or livespot release was accepted.
DATA_GAP_DETECTED | livespot explain SYMBOL@now no longer names it.
AIGATE_TIMEOUT | The next proposal is answered; with ai_dec 2, livespot resume is accepted.
AIGATE_HTTP_ERROR | The next proposal is answered; with ai_dec 2, livespot resume is accepted.
AIGATE_BUDGET | The next proposal is answered; with ai_dec 2, livespot resume is accepted.
AIGATE_BLOCK_STANDS | livespot explain SYMBOL@now no longer names it.
AIGATE_DISABLED | ai_gate.ai_dec is above 0 in livespot config show.
RISK_DAILY_LOSS_LIMIT | 00:00 UTC has passed.
RISK_DRAWDOWN_LIMIT | 00:00 UTC has passed.
RISK_MAX_TRADES_DAY | 00:00 UTC has passed.
STRAT_CONFIG_INVALID | livespot config check finds nothing.
"""
_CLEARS = """
DB_WRITER_BACKPRESSURE DB_WRITER_QUEUE_HIGH DISK_LOW_DEGRADE LOOP_STUCK_DEGRADE REST_STALE_DEGRADE WS_STALE_DEGRADE
"""
_WHEN_CLEAR = "It is gone from livespot status; NORMAL follows after the stability window."
_JUDGED = "livespot explain SYMBOL@now no longer names it."
_MOMENT = "At once: it describes a single moment."
# Codes of these blocks are said of a symbol in a cycle, and judged anew in the next.
_JUDGED_BLOCKS = frozenset({4, 5, 6})
_EVENTS = """
FILTERS_REFRESHED WS_OOO_EVENT DATA_DUPLICATE_TIMESTAMP MD_PRICE_INSANE RISK_OK RISK_SIZE_CAPPED
RISK_DIVERSIFY_APPLIED
"""

_A_MODEL_MAY_SAY_IT = "Only a model behind the gate may give it as a reason."
RESERVED: dict[ReasonCode, str] = {
    ReasonCode.AIGATE_ALLOWED: _A_MODEL_MAY_SAY_IT,
    ReasonCode.IMBALANCE_AGAINST: _A_MODEL_MAY_SAY_IT,
    ReasonCode.MICROVOL_SPIKE: _A_MODEL_MAY_SAY_IT,
    ReasonCode.REGIME_WEAK: _A_MODEL_MAY_SAY_IT,
    ReasonCode.SPREAD_BAD_VS_NORMAL: _A_MODEL_MAY_SAY_IT,
    ReasonCode.SPREAD_OPENING: _A_MODEL_MAY_SAY_IT,
    ReasonCode.MD_BOOK_GAP: "No local order book is kept; depth is read whole each time.",
}
"""Codes that no part of this version raises, and why they are kept."""


def _catalogue() -> dict[ReasonCode, CodeEntry]:
    by_itself = dict(row.split(" | ") for row in _BY_ITSELF.strip().splitlines())
    over = dict(row.split(" | ") for row in _OVER.strip().splitlines())
    over |= dict.fromkeys(_CLEARS.split(), _WHEN_CLEAR) | dict.fromkeys(_EVENTS.split(), _MOMENT)
    rows = (row.split(" | ") for row in _ROWS.strip().splitlines())
    return {
        (code := ReasonCode(name)): CodeEntry(
            meaning,
            action,
            by_itself.pop(name, ""),
            RESERVED.get(code, ""),
            over.get(name) or _usually_over(code),
        )
        for name, meaning, action in rows
    }


def _usually_over(code: ReasonCode) -> str:
    """What most codes of its block need."""
    return _JUDGED if number_of(code) // 1000 in _JUDGED_BLOCKS else _MOMENT


CATALOGUE: dict[ReasonCode, CodeEntry] = _catalogue()
