"""The first screen in a terminal: a rich view, and one plain line. Pure."""

from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livespot.panel.codes import CodeView
from livespot.panel.dashboard import Dashboard, DecisionView, ExposureLine, PositionLine
from livespot.panel.survived import survived
from livespot.rules.words import age, amount, limited, measured, printable, signed, size

# Shape and word carry the state; colour only repeats it.
_RIGHTS = {"SHADOW": "SHADOW (watches only, sends no order)"}
_MODES = {
    "NORMAL": ("●", "bold green"),
    "DEGRADE": ("◆", "bold yellow"),
    "PAUSE": ("■", "bold red"),
    "EXIT": ("▲", "bold magenta"),
}
_SEVERITIES = {"INFO": ("i", "cyan"), "WARN": ("!", "yellow"), "CRIT": ("‼", "bold red")}
_DECISIONS, _INTENTS, _ALERTS = 10, 6, 4
_CODE_WIDTH = 26


def render_live(dashboard: Dashboard, panel_url: str) -> RenderableType:
    """Return everything an operator looks at first; text from outside is never markup.

    Without a `panel_url` the address is left out.
    """
    dashboard = _printable(dashboard)
    parts: list[RenderableType] = [_headline(dashboard), _next(dashboard)]
    parts += _reasons(dashboard)
    if dashboard.process.state != "NEVER_RAN":
        # Positions at risk come before current activity.
        parts += [_position(line, dashboard.now_ms) for line in dashboard.positions]
        parts += [_own(line, dashboard.now_ms) for line in dashboard.exposures]
        parts += [_alerts(dashboard), _facts(dashboard), _intents(dashboard)]
        parts += [_decisions(dashboard), *survived(dashboard.survival)]
    if panel_url:
        parts.append(Text("panel ", style="dim").append(panel_url, style="underline"))
    return Panel(Group(*parts), title="livespot", title_align="left", padding=(0, 1))


def plain_line(dashboard: Dashboard) -> str:
    """Return one line for a log or a pipe; the next step is added only when it is urgent."""
    dashboard = _printable(dashboard)
    header, pnl = dashboard.header, dashboard.pnl
    if dashboard.process.state == "NEVER_RAN":
        return f"livespot has not run yet; next: {dashboard.next.action}"
    parts = [
        _RIGHTS.get(header.mode, header.mode),
        header.sysmode if dashboard.process.state == "RUNNING" else dashboard.process.state,
        limited([reason.code for reason in header.reasons], 2),
        f"stage {header.stage}",
        f"watching {len(dashboard.watchlist)}",
        _last_decision(dashboard),
        f"intents {_states(dashboard)}",
        _positions_line(dashboard),
        _own_line(dashboard),
        f"pnl {signed(pnl.realised_quote)} realised, {signed(pnl.unrealised_quote)} open",
        f"alerts {dashboard.alerts.crit} crit {dashboard.alerts.warn} warn",
        f"next: {dashboard.next.action}" if dashboard.next.urgency == "NOW" else "",
    ]
    return " | ".join(part for part in parts if part)


def _printable(dashboard: Dashboard) -> Dashboard:
    """Return the dashboard with every text made printable: some come from the exchange."""
    return msgspec.convert(_plain(msgspec.to_builtins(dashboard)), Dashboard)


def _plain(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _headline(dashboard: Dashboard) -> Text:
    header, process = dashboard.header, dashboard.process
    if process.state == "NEVER_RAN":
        return Text("○ NOT RUN YET", style="bold").append(f"  {process.note}", style="dim")
    if process.state != "RUNNING":
        return _without_process(dashboard)
    shape, style = _MODES.get(header.sysmode, ("?", "bold"))
    line = Text(f"{shape} {header.sysmode}", style=style)
    line.append(f"  {_RIGHTS.get(header.mode, header.mode)}", style="bold")
    line.append(f"  for {age(dashboard.now_ms - header.since_ms)}", style="dim")
    line.append(f"  up {age(dashboard.now_ms - header.started_ms)}", style="dim")
    return line.append(f"  {header.run_id}", style="dim")


def _without_process(dashboard: Dashboard) -> Text:
    """The view when nothing runs: that comes first, and no mode is shown as if it were in force."""
    header, process = dashboard.header, dashboard.process
    line = Text(f"✕ {process.state}", style="bold red")
    line.append(f"  {_RIGHTS.get(header.mode, header.mode)}", style="bold")
    if process.silent_ms is not None:
        line.append(f"  silent for {age(process.silent_ms)}", style="dim")
    line.append(f"  {header.run_id}", style="dim")
    line.append(f"\n  {process.note}", style="red")
    return line.append(
        f" What follows is its last record: {header.sysmode}"
        f" for {age(dashboard.now_ms - header.since_ms)},"
        f" up {age(dashboard.now_ms - header.started_ms)}.",
        style="dim",
    )


def _next(dashboard: Dashboard) -> Text:
    style = {"NOW": "bold red", "SOON": "bold yellow"}.get(dashboard.next.urgency, "bold")
    line = Text("next  ", style="dim").append(dashboard.next.action, style=style)
    return line.append(f"\n      {dashboard.next.why}", style="dim")


def _reasons(dashboard: Dashboard) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for reason in dashboard.header.reasons:
        line = Text("why   ", style="dim").append(reason.code, style="bold")
        if reason.unit:
            value, limit = (measured(it, reason.unit) for it in (reason.value, reason.threshold))
            line.append(f"  {value}, limit {limit}")
        line.append(f"  since {age(dashboard.now_ms - reason.since_ms)}", style="dim")
        lines.append(line.append(f"\n      {reason.detail or reason.meaning}", style="dim"))
    return lines


def _facts(dashboard: Dashboard) -> Table:
    header, health, pnl = dashboard.header, dashboard.health, dashboard.pnl
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(overflow="fold")
    watched = limited([item.symbol for item in dashboard.watchlist], 6) or "none yet"
    rows = (
        ("stage", header.stage, "symbols", watched),
        (
            "today",
            f"{signed(pnl.realised_quote)} realised",
            "open",
            f"{signed(pnl.unrealised_quote)} unrealised, {pnl.won} won, {pnl.lost} lost",
        ),
        (
            "intents",
            _states(dashboard),
            "reconcile",
            _reconcile(dashboard),
        ),
        (
            "writer",
            f"{_count(health.writer_depth)} waiting, {age(health.writer_lag_ms)} lag",
            "ages",
            _ages(dashboard),
        ),
    )
    for name, value, other, text in rows:
        table.add_row(Text(name, style="dim"), Text(value), Text(other, style="dim"), Text(text))
    return table


def _decisions(dashboard: Dashboard) -> RenderableType:
    if not dashboard.decisions:
        return Text("No decision yet: the first candles are being read.", style="dim")
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("decision", no_wrap=True)
    table.add_column("", overflow="fold")
    table.add_column("age", no_wrap=True)
    # As wide as the longest code, so that none is wrapped on a terminal of 80 columns.
    table.add_column("why", overflow="fold", min_width=_CODE_WIDTH)
    for item in dashboard.decisions[:_DECISIONS]:
        proposed = item.outcome == "PROPOSED"
        fate = Text(
            f"{'▸' if proposed else '·'} {_outcome(item)}", style="green" if proposed else ""
        )
        fate.append(_reward(item), style="dim")
        table.add_row(
            Text(item.symbol, style="bold"),
            fate,
            Text(age(dashboard.now_ms - item.at_ms)),
            Text(limited([code.code for code in _why(item)])),
        )
    return table


def _reward(item: DecisionView) -> str:
    """A line of its own; a decision that stopped at an earlier check has no margin to show."""
    computed = item.outcome == "PROPOSED" or item.edge_bps_expected != 0
    if not computed:
        return ""
    told = f"\n  reward margin {item.edge_bps_expected} bps"
    edge = item.edge
    if edge is None:
        return told
    had = "unmeasured" if edge.measured is None else _percent(edge.measured.hit_rate_x10000)
    return f"{told}\n  hits needed {_percent(edge.breakeven_hit_x10000)}, seen: {had}"


def _percent(share_x10000: int) -> str:
    whole, tenths = divmod((share_x10000 + 5) // 10, 10)
    return f"{whole}.{tenths} %"


def _position(line: PositionLine, now_ms: int) -> RenderableType:
    word, style = _protection(line)
    text = Text(f"{line.symbol} {line.phase}", style="bold")
    text.append(f"  {word}", style=style)
    text.append(f"  {amount(line.qty, 8)} at {amount(line.avg_price, 8)}")
    meant = "" if line.protected else "meant: "
    text.append(f"  {meant}stop {amount(line.sl_price, 8)}  target {amount(line.tp_price, 8)}")
    text.append(f"  now {amount(line.mark_price, 8)} ({signed(line.unrealised_quote)})")
    text.append(f"  without a stop {age(_bare_ms(line, now_ms))}")
    return text.append(f"  open {age(now_ms - line.opened_ms)}", style="dim")


def _protection(line: PositionLine) -> tuple[str, str]:
    """Return a position's protection and its style.

    A position of which nothing was bought yet needs no stop, and one being sold has none left.
    """
    if line.protected:
        return "▣ PROTECTED", "green"
    if _holds_nothing(line):
        return "▢ nothing bought yet", "yellow"
    return (
        ("▢ being sold", "yellow") if line.phase == "CLOSING" else ("▢ NOT PROTECTED", "bold red")
    )


def _holds_nothing(line: PositionLine) -> bool:
    return amount(line.qty, 8) == "0"


def _own(line: ExposureLine, now_ms: int) -> RenderableType:
    text = Text(f"{line.symbol} yours", style="bold")
    text.append(f"  {line.side} {amount(line.qty, 8)} by hand: no entries in {line.symbol}")
    text.append(f"  open {age(now_ms - line.opened_ms)}  {line.exposure_id}", style="dim")
    return text


def _bare_ms(line: PositionLine, now_ms: int) -> int:
    """Return the time without a stop since the opening, including a span that still lasts."""
    since_ms = line.unprotected_since_ms
    return line.unprotected_ms + (max(0, now_ms - since_ms) if since_ms else 0)


def _intents(dashboard: Dashboard) -> RenderableType:
    execution = dashboard.execution
    if not execution.recent:
        return Text("No order in this database yet.", style="dim")
    pinned = {intent.order_intent_id for intent in execution.unknown}
    shown = [*execution.unknown]
    shown += [intent for intent in execution.recent if intent.order_intent_id not in pinned]
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("intent", "", "state", "age", ""):
        table.add_column(name)
    for intent in shown[:_INTENTS]:
        doubt = intent.state == "SENT_UNKNOWN"
        table.add_row(
            Text(intent.symbol, style="bold"),
            Text(f"{intent.action} {intent.role} {intent.side}"),
            Text(f"{'? ' if doubt else ''}{intent.state}", style="bold yellow" if doubt else ""),
            Text(age(intent.age_ms)),
            Text(intent.last_error_code, style="dim"),
        )
    return table


def _alerts(dashboard: Dashboard) -> RenderableType:
    counts = dashboard.alerts
    text = Text(f"alerts  {counts.crit} crit  {counts.warn} warn  {counts.info} info", style="dim")
    for alert in counts.latest[:_ALERTS]:
        mark, style = _SEVERITIES.get(alert.severity, ("?", ""))
        text.append(f"\n{mark} {age(dashboard.now_ms - alert.at_ms):>7}  ", style=style)
        text.append(alert.text)
    return text


def _outcome(item: DecisionView) -> str:
    """Return how far a decision went: blocked by strategy, gate or risk, or approved."""
    if item.outcome != "PROPOSED":
        return item.outcome
    steps = [f"gate {item.gate}"] if item.gate else []
    steps += [f"risk {item.risk}"] if item.risk else []
    return ", ".join(["PROPOSED", *steps])


def _why(item: DecisionView) -> list[CodeView]:
    if item.risk == "BLOCK":
        return [*item.risk_reasons]
    if item.gate in ("BLOCK", "ERROR"):
        return [*item.gate_reasons]
    return [*item.reasons]


def _last_decision(dashboard: Dashboard) -> str:
    if not dashboard.decisions:
        return "no decision yet"
    item = dashboard.decisions[0]
    why = limited([code.code for code in _why(item)], 2)
    return f"{item.symbol} {_outcome(item)}" + (f" ({why})" if why else "")


def _positions_line(dashboard: Dashboard) -> str:
    if not dashboard.positions:
        return "no position"
    return ", ".join(_position_words(line) for line in dashboard.positions)


def _position_words(line: PositionLine) -> str:
    if _holds_nothing(line):
        return f"{line.symbol} being bought"
    guard = "protected" if line.protected else "UNPROTECTED"
    return f"{line.symbol} {amount(line.qty, 8)} {guard}"


def _own_line(dashboard: Dashboard) -> str:
    own = list(dict.fromkeys(line.symbol for line in dashboard.exposures))
    return f"yours by hand: {limited(own)}" if own else ""


def _states(dashboard: Dashboard) -> str:
    counts = dashboard.execution.by_state
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "none"


def _reconcile(dashboard: Dashboard) -> str:
    report = dashboard.execution.reconcile
    if report is None:
        return "not yet"
    when = age(dashboard.now_ms - report.at_ms)
    diffs = f"{len(report.diffs)} diff{'' if len(report.diffs) == 1 else 's'}"
    return f"{report.label} {when} ago, took {age(report.duration_ms)}, {diffs}"


def _ages(dashboard: Dashboard) -> str:
    health = dashboard.health
    return (
        f"stream {age(health.stream_age_ms)}, REST {age(health.rest_age_ms)}, "
        f"disk {size(health.disk_free_bytes)} free, rss {size(health.rss_bytes)}"
    )


def _count(number: int | None) -> str:
    return "—" if number is None else str(number)
