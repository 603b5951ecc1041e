"""axe-core on every page, in light and dark: no serious finding."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from components.pages import list_pages

FINE = ("minor", "moderate")
# What a page shows once its first answer is there.
READY = ".attribution-picture .cell, .multiples .cell, .chart, canvas, .attribution-report"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", [one.path for one in list_pages()])
def test_no_serious_finding(page: Page, url: str, path: str, theme: str) -> None:
    page.goto(f"{url}{path}?__theme={theme}")
    expect(page.locator(READY).filter(visible=True).first).to_be_visible()
    page.wait_for_timeout(1500)
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], one["impact"], node["target"], node["failureSummary"])
        for one in found
        if one["impact"] not in FINE
        for node in one["nodes"]
    ]
    assert serious == []


def test_the_check_can_fail(page: Page) -> None:
    page.set_content(
        '<html lang="en"><title>A page</title><main><p style="color: #bbb; background: #fff">Hardly '
        "seen</p></main></html>"
    )
    assert "color-contrast" in {one["id"] for one in Axe().run(page).response["violations"]}
