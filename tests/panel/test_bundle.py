"""Many small script files become one; what cannot be joined is an error and no broken page."""

import pytest

from livespot.panel.app import ROUTES, template
from livespot.panel.bundle import bundled

_DOM = "export const el = (name) => name;\nfunction hidden() {}\nexport async function wait() {}\n"
_CARDS = 'import { el, wait as pause } from "/dom.js";\nexport function card() { return el(1); }\n'
_PAGE = 'import * as cards from "/cards.js";\nimport { el } from "/dom.js";\ncards.card(el);\n'


def test_what_is_imported_comes_before_who_imports_it_and_once() -> None:
    script = bundled({"/page.js": _PAGE, "/cards.js": _CARDS, "/dom.js": _DOM}, "/page.js")

    places = [
        script.index(f'modules["{name}"] = ') for name in ("/dom.js", "/cards.js", "/page.js")
    ]
    assert places == sorted(places)
    assert script.count('modules["/dom.js"] = ') == 1
    assert 'const { el, wait: pause } = modules["/dom.js"];' in script
    assert 'const cards = modules["/cards.js"];' in script
    assert "return { el, wait };" in script
    assert "import " not in script
    assert "export " not in script


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"/p.js": 'import x from "/y.js";\n'}, "cannot be joined"),
        ({"/p.js": "export default 3;\n"}, "cannot be joined"),
        ({"/p.js": "export let state = 1;\n"}, "cannot be joined"),
        ({"/p.js": 'import { x } from "/gone.js";\n'}, "does not exist"),
        (
            {"/p.js": 'import { x } from "/q.js";\n', "/q.js": 'import { y } from "/p.js";\n'},
            "circle",
        ),
    ],
)
def test_what_is_not_understood_is_an_error(modules: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        bundled(modules, "/p.js")


def test_a_page_load_with_a_second_one_stays_below_twenty_requests() -> None:
    of_one_load = [route for route in ROUTES if route.startswith(("/static/", "/dashboard"))]

    assert 2 * (len(of_one_load) + len(("/api/dashboard", "/api/stream"))) <= 20


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/decisions/dec_1a", "/api/decisions/{id}"),
        ("/api/intents/oi_1-b.c", "/api/intents/{id}"),
        ("/api/decisions/", ""),
        ("/api/decisions/a/b", ""),
        ("/api/decisions/..%2f", ""),
        (f"/api/decisions/{'x' * 129}", ""),
        ("/api/decisions/<script>", ""),
        ("/static/dom.js", ""),
        ("/api/orders", "/api/orders"),
    ],
)
def test_addresses_are_known_by_their_template_alone(path: str, route: str) -> None:
    assert template(path) == route
