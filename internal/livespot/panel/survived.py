"""The figures of survival as lines of the terminal's first screen. Pure."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from livespot.panel.tabs import SurvivalTab, SurvivalView
from livespot.rules.words import age


def survived(survival: SurvivalTab) -> list[RenderableType]:
    """Return the newest run beside all of them; without a count, the reason."""
    if survival.run is None or survival.over_runs is None:
        why = survival.unknown.get("run")
        return [Text(f"survival not counted: {why}", style="dim")] if why else []
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("survival", style="dim"), _line(survival.run))
    if survival.over_runs.runs > 1:
        table.add_row(
            Text(f"{survival.over_runs.runs} runs", style="dim"), _line(survival.over_runs)
        )
    return [table]


def _line(view: SurvivalView) -> Text:
    """Return one line; what went wrong is highlighted, and unknown figures are left out."""
    text = Text(f"up {age(view.uptime_ms)}")
    failed = (
        f"{view.internal_failures} internal failure{'' if view.internal_failures == 1 else 's'}"
    )
    text.append(f", {failed}", style="bold yellow" if view.internal_failures else "")
    if view.between_failures_ms is not None:
        text.append(f", one in {age(view.between_failures_ms)}")
    if view.restart_ms is not None:
        text.append(f", NORMAL after at most {age(view.restart_ms)}")
    if view.unprotected_total_ms is not None:
        text.append(
            f"; without a stop {age(view.unprotected_max_ms)} at most, "
            f"{age(view.unprotected_total_ms)} in all"
        )
    text.append(f"; intents in doubt: {view.unknown_intents}")
    if view.resolve_max_ms is not None:
        text.append(f" (settled within {age(view.resolve_max_ms)})")
    if view.unresolved_intents:
        text.append(f", {view.unresolved_intents} open", style="bold yellow")
    if view.missed_fills is not None:
        text.append(f", fills missed by the stream: {view.missed_fills}")
    if view.drift_corrections is not None:
        text.append(f", drift corrections: {view.drift_corrections}")
    return text.append(f"; {_shares(view)}" if view.modes_ms else "")


def _shares(view: SurvivalView) -> str:
    whole = sum(view.modes_ms.values()) or 1
    return ", ".join(
        f"{mode} {(1000 * ms // whole) / 10:.1f} %" for mode, ms in view.modes_ms.items()
    )
