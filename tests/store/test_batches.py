"""What is masked on its way into a table."""

from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import AlertRow
from livespot.contracts.redaction import Redactor
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.store.batches import batches_of


def test_an_alert_that_quotes_the_system_does_not_tell_whose_machine_it_is() -> None:
    alert = Alert(
        severity=Severity.WARN,
        code=ReasonCode.ALERT_RAISED,
        reasons=(),
        text="[Errno 13] Permission denied: '/home/alice/livespot/var/backups'",
        at_ms=1,
    )

    ((_, ((*values,),)),) = batches_of([AlertRow(alert=alert)], "run_1", Redactor())

    assert "[Errno 13] Permission denied: '/home/<USER>/livespot/var/backups'" in values
    assert not any("alice" in str(value) for value in values)
