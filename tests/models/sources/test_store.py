"""What a store loads, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from attribution.engine import Engine
from attribution.errors import BadOption, ModelRefused
from attribution.models.adapter import Adapter
from attribution.models.sources import hub
from attribution.models.sources.entries import CHECKPOINTS
from attribution.models.sources.store import Source, Store, load_folder
from tests.tiny import FAMILIES

BUNDLED = "bundled/sst2-minilm"
LISTED = CHECKPOINTS[0].name
COMMIT = "0123456789" * 4


@pytest.fixture
def server() -> Store:
    """A store that loads only bundled models and those of the catalogue."""
    return Store(any_model=False, folders=False)


def cache_commits(monkeypatch: pytest.MonkeyPatch, *commits: str) -> None:
    """Let the cache of the Hub hold these commits of every model."""

    def cached(name: str, revision: str | None = None, _settings: object = None) -> hub.Snapshot | None:
        return hub.Snapshot(Path(name), revision) if revision in commits else None

    monkeypatch.setattr(hub, "cached", cached)


@pytest.mark.parametrize("revision", ["main", "v2", COMMIT])
@pytest.mark.parametrize("any_model", [False, True])
def test_a_bundled_model_has_no_revisions(revision: str, any_model: bool) -> None:
    with pytest.raises(BadOption, match=r"bundled and has no revisions.*Leave the revision out"):
        Store(any_model=any_model).source(BUNDLED, revision=revision)


def test_a_request_with_a_revision_makes_no_copy_of_a_bundled_model() -> None:
    engine = Engine()
    with pytest.raises(BadOption, match="no revisions"):
        engine.attribute("good", BUNDLED, "saliency", revision="v2")
    assert engine.store.loaded() == ()


@pytest.mark.parametrize("revision", ["v2", "refs/pr/1", COMMIT, "../main"])
@pytest.mark.parametrize("name", [LISTED, CHECKPOINTS[0].families[0]])
def test_a_server_refuses_revisions_that_it_would_have_to_download(
    server: Store, monkeypatch: pytest.MonkeyPatch, name: str, revision: str
) -> None:
    cache_commits(monkeypatch)
    with pytest.raises(ModelRefused, match=r"at the revision .*Leave the revision out: it has 'main'"):
        server.source(name, "sentiment", revision)


def test_a_server_takes_the_catalogue_s_own_revision(server: Store) -> None:
    assert (
        server.source(LISTED, revision="main") == server.source(LISTED) == server.source(LISTED, revision="")
    )
    assert server.source(LISTED).revision is CHECKPOINTS[0].revision


def test_a_server_takes_a_commit_that_it_has(server: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over a table keeps to the commit that it began with, on a server too."""
    cache_commits(monkeypatch, COMMIT)
    assert server.source(LISTED, revision=COMMIT).revision == COMMIT
    monkeypatch.setattr(Store, "_load", lambda self, source: Adapter(*FAMILIES["bert"](), name=source.name))
    with server.lease(Source(LISTED, "catalogue", COMMIT)):
        cache_commits(monkeypatch)
        assert server.source(LISTED, revision=COMMIT).revision == COMMIT


def test_the_library_takes_every_revision_of_the_hub() -> None:
    assert Store().source(LISTED, revision="v2").revision == "v2"
    assert Store().source("somebody/something", revision="v2").revision == "v2"


def test_the_weights_of_a_classifier_without_embeddings_count(tmp_path: Path) -> None:
    from tests.families import FAMILIES as ARCHITECTURES

    model, tokenizer = ARCHITECTURES["bart-classifier"].build()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_folder(tmp_path, revision=COMMIT)
    assert not isinstance(loaded, Adapter)
    assert loaded.bytes == sum(p.numel() * p.element_size() for p in model.parameters()) > 0
    assert loaded.info.revision == COMMIT
