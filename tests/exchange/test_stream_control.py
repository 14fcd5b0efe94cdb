"""Control messages of the market streams, and every refusal the exchange documents."""

import pytest
from tests.exchange.stream_rig import Ear, Rig

from livespot.exchange.stream_control import Control

_METHODS = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


def answers(*texts: str) -> list[dict[str, object]]:
    """Replies to messages on one connection that hears a stream already."""
    with Rig() as rig:
        control = Control(rig.hub, rig.ear("b000usdt@trade").listener)
        return [control.reply(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param(
            '{"method":"GET_PROPERTY","params":["combined"],"id":2}',
            {"result": True, "id": 2},
            id="get-property",
        ),
        pytest.param(
            '{"method":"SET_PROPERTY","params":["combined",true],"id":"x"}',
            {"result": None, "id": "x"},
            id="text-id",
        ),
        pytest.param(
            '{"method":"LIST_SUBSCRIPTIONS","id":null}',
            {"result": ["b000usdt@trade"], "id": None},
            id="null-id",
        ),
        pytest.param(
            '{"method":"LIST_SUBSCRIPTIONS","id":-9223372036854775808}',
            {"result": ["b000usdt@trade"], "id": -(2**63)},
            id="smallest-id",
        ),
        pytest.param(
            '{"method":"SUBSCRIBE","params":[],"id":1}', {"result": None, "id": 1}, id="nothing"
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":["color"],"id":1}',
            {"code": 0, "msg": "Unknown property", "id": 1},
            id="unknown-property",
        ),
        pytest.param(
            '{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}',
            {"code": 1, "msg": "Invalid value type: expected Boolean"},
            id="not-boolean",
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":[1],"id":1}',
            {"code": 2, "msg": "Invalid request: property name must be a string"},
            id="property-name",
        ),
        pytest.param(
            '{"method":"SET_PROPERTY","id":1}',
            {"code": 2, "msg": "Invalid request: property name must be a string"},
            id="no-property",
        ),
        pytest.param(
            '{"method":"GET_PROPERTY","params":["combined",1],"id":1}',
            {"code": 2, "msg": "Invalid request: too many parameters"},
            id="too-many",
        ),
        pytest.param(
            '{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":1}',
            {"code": 2, "msg": "Invalid request: too many parameters"},
            id="list-takes-none",
        ),
        *(
            pytest.param(
                f'{{"method":"LIST_SUBSCRIPTIONS"{number}}}',
                {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
                id=name,
            )
            for name, number in {
                "fraction": ',"id":1.5',
                "flag": ',"id":true',
                "long": f',"id":"{"x" * 37}"',
                "beyond-int64": ',"id":9223372036854775808',
                "absent": "",
            }.items()
        ),
        pytest.param(
            '{"method": "DANCE", "id": 1}',
            {
                "code": 2,
                "msg": f"Invalid request: unknown variant `DANCE`, expected one of {_METHODS}"
                " at line 1 column 18",
            },
            id="method",
        ),
        pytest.param(
            '{"params":["a@trade"],"id":1}',
            {"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 29"},
            id="no-method",
        ),
        pytest.param(
            '{"method":"SUBSCRIBE","params":[1],"id":1}',
            {"code": 2, "msg": "Invalid request: stream name must be a string"},
            id="stream-name",
        ),
        pytest.param(
            "{nonsense",
            {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 2"},
            id="json",
        ),
        pytest.param(
            '{"method":\n xyz}',
            {"code": 3, "msg": "Invalid JSON: expected value at line 2 column 2"},
            id="json-second-line",
        ),
        pytest.param(
            '{"method":',
            {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 10"},
            id="json-ends-early",
        ),
    ],
)
def test_a_control_message_is_answered_like_this(text: str, answer: dict[str, object]) -> None:
    assert answers(text) == [answer]


def test_a_property_is_kept() -> None:
    _, told = answers(
        '{"method":"SET_PROPERTY","params":["combined",false],"id":1}',
        '{"method":"GET_PROPERTY","params":["combined"],"id":2}',
    )

    assert told == {"result": False, "id": 2}


def test_a_connection_hears_at_most_1024_streams() -> None:
    with Rig() as rig:
        ear = Ear(rig.hub, *(f"x{number}@trade" for number in range(1023)))
        control = Control(rig.hub, ear.listener)

        last = control.reply('{"method":"SUBSCRIBE","params":["b000usdt@trade"],"id":1}')
        again = control.reply('{"method":"SUBSCRIBE","params":["b000usdt@trade"],"id":2}')
        more = control.reply('{"method":"SUBSCRIBE","params":["b000usdt@depth"],"id":3}')
        ear.outbound.close()

    assert last["result"] is None
    assert again["result"] is None
    assert more == {"code": 2, "msg": "Invalid request: too many parameters"}
    assert len(ear.listener.streams) == 1024


@pytest.mark.parametrize(
    "stream",
    ["!bookTicker", "!ticker@arr", "B000USDT@trade", "b000usdt@kline_7m", "b000usdt@depth6", "x"],
)
def test_a_stream_that_never_speaks_is_accepted_and_listed(stream: str) -> None:
    with Rig() as rig:
        ear = rig.ear()
        control = Control(rig.hub, ear.listener)
        done = control.reply(f'{{"method":"SUBSCRIBE","params":["{stream}"],"id":1}}')
        listed = control.reply('{"method":"LIST_SUBSCRIPTIONS","id":2}')
        rig.book("B000USDT", 100, 102)
        rig.print("B000USDT", "102")
        rig.to(5000)

        assert done == {"result": None, "id": 1}
        assert listed["result"] == [stream]
        assert ear.frames() == []
