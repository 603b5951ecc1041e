"""Loading weights draws nothing on standard error, and leaves transformers' setting alone."""

from __future__ import annotations

import threading

import pytest
from transformers.utils import logging

from attribution.models.sources import catalogue
from attribution.models.sources.quiet import hide_progress_bars
from attribution.models.sources.store import load_folder


@pytest.fixture
def bars() -> object:
    """Progress bars as a user has them by default."""
    before = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    yield
    if not before:
        logging.disable_progress_bar()


def draw() -> None:
    for _ in logging.tqdm(range(3), desc="Counting"):
        pass


@pytest.mark.usefixtures("bars")
def test_loading_weights_draws_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    load_folder(catalogue.folder("bundled/sst2-minilm"))
    assert capsys.readouterr().err == ""
    assert logging.is_progress_bar_enabled()
    draw()
    assert "Counting" in capsys.readouterr().err, "bars of others are drawn again"


@pytest.mark.usefixtures("bars")
def test_only_the_calling_thread_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with hide_progress_bars():
        draw()
        assert capsys.readouterr().err == ""
        other = threading.Thread(target=draw)
        other.start()
        other.join()
    assert "Counting" in capsys.readouterr().err


@pytest.mark.usefixtures("bars")
def test_the_hook_of_a_user_is_called_and_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []

    def hook(factory, args, options):
        calls.append(options["desc"])
        return factory(*args, **options)

    before = logging.set_tqdm_hook(hook)
    try:
        with hide_progress_bars(), hide_progress_bars():
            draw()
            assert not calls
        draw()
        assert calls == ["Counting"]
    finally:
        logging.set_tqdm_hook(before)
