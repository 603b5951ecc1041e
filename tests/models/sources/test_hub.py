"""Downloading from a small local server that speaks the Hub's protocol, and everything that is refused."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from attribution.errors import (
    GatedModel,
    HubUnavailable,
    ModelError,
    ModelRefused,
    ModelTooLarge,
    UnknownModel,
)
from attribution.models.sources import catalogue, hub, inspection
from attribution.settings import DEFAULTS, Settings
from tests.faults.fake_hub import FakeHub, Repository
from tests.waiting import eventually

NAME = "tiny/bert"
SECONDS = 0.5
QUICK = replace(DEFAULTS, hub_timeout_seconds=SECONDS)
NOBODY = "http://127.0.0.1:9"
CANARY = "hf_canary_that_must_never_travel"

PATIENT = replace(DEFAULTS, hub_timeout_seconds=60)

# huggingface_hub's retries outlive a call that was given up, and leave their sockets to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

recordings: list[list[str]] = []
"""Lists that receive the names of all files that are opened."""


def _note_opens(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        for names in recordings:
            names.append(os.fsdecode(arguments[0]))


sys.addaudithook(_note_opens)


@contextmanager
def record_opens() -> Iterator[list[str]]:
    """The names of the files that are opened within the block."""
    recordings.append([])
    try:
        yield recordings[-1]
    finally:
        recordings.pop()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT classifier of a few thousand parameters, as ``save_pretrained`` writes it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "good": 2, "bad": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        folder
    )
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertForSequenceClassification(
        BertConfig(vocab_size=4, max_position_embeddings=16, **sizes)
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model, to be spoiled."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, a token that must not be sent, and a working directory that must not be read."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(
        constants, "ENDPOINT", NOBODY
    )  # as if the library had been imported before HF_ENDPOINT was set
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", NOBODY + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(
        logging.getLogger("huggingface_hub"), "disabled", True
    )  # given-up threads still speak after a test
    monkeypatch.setenv("HF_TOKEN", CANARY)
    (tmp_path / "token").write_text(CANARY)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "cache"
    close_session()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeHub]]:
    """Starts a hub that serves a folder as ``tiny/bert``."""
    running: list[FakeHub] = []

    def start(folder: Path | Repository, **info: object) -> FakeHub:
        repository = folder if isinstance(folder, Repository) else Repository(folder, dict(info))
        server = FakeHub({NAME: repository}).__enter__()
        running.append(server)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        return server

    yield start
    for server in running:
        server.__exit__()


def fetch(name: str = NAME, **options: object) -> hub.Snapshot:
    """Fetch from a working hub; the time limit suits a busy machine."""
    return hub.fetch(name, **{"settings": PATIENT, **options})  # type: ignore[arg-type]


def retry_until_answered(call: Callable[[], hub.Snapshot], seconds: float = 60) -> hub.Snapshot:
    """The first answer: an abandoned call may hold a file for some more seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except HubUnavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def edit(folder: Path, file: str = "config.json", **changes: object) -> Path:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def shard(folder: Path) -> Path:
    """Two files of weights and an index, instead of one file."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="4KB")
    assert (folder / "model.safetensors.index.json").is_file()
    return folder


# ---- a working hub


def test_a_model_comes_at_the_commit_that_was_checked(tiny, serve, cache):
    server = serve(tiny)
    snapshot = fetch()
    assert snapshot.revision == server.repositories[NAME].commit == snapshot.folder.name
    assert snapshot.folder.is_relative_to(cache)
    assert (snapshot.folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert all(f"/resolve/{snapshot.revision}/" in path for path in server.paths("/resolve/"))

    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(
        snapshot.folder, use_safetensors=True, local_files_only=True
    )
    assert AutoTokenizer.from_pretrained(snapshot.folder, local_files_only=True)("good bad")["input_ids"] == [
        2,
        3,
    ]
    assert inspection.inspect(snapshot.folder).parameters == sum(p.numel() for p in model.parameters())


def test_only_files_of_the_list_are_downloaded_and_one_kind_of_weights(copy, serve):
    for extra in (
        "pytorch_model.bin",
        "tf_model.h5",
        "modeling_tiny.py",
        "README.md",
        "other.safetensors",
        "chat_template.jinja",
    ):
        (copy / extra).write_bytes(b"boo")
    (copy / "onnx").mkdir()
    (copy / "onnx" / "model.safetensors").write_bytes(b"boo")
    serve(copy)
    names = {path.name for path in fetch().folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_a_second_fetch_downloads_nothing(tiny, serve):
    server = serve(tiny)
    first = retry_until_answered(fetch)
    server.requests.clear()
    assert fetch() == first
    assert server.paths("/resolve/") == []
    server.requests.clear()
    assert fetch(revision=first.revision) == first
    assert server.requests == []  # a commit never changes: nobody is asked


def test_shards(copy, serve):
    server = serve(shard(copy))
    snapshot = fetch()
    assert len(list(snapshot.folder.glob("model-*.safetensors"))) > 1
    assert inspection.inspect(snapshot.folder).parameters > 0
    assert not server.paths("/tree/")


def test_a_whole_file_is_preferred_to_shards(copy, tiny, serve):
    shutil.copy(tiny / "model.safetensors", shard(copy))
    serve(copy)
    assert [path.name for path in fetch().folder.glob("*.safetensors*")] == ["model.safetensors"]


def test_no_token_is_ever_sent(tiny, serve):
    server = serve(tiny)
    fetch()
    with pytest.raises(UnknownModel):
        fetch("tiny/missing")
    assert len(server.requests) > 5
    for request in server.requests:
        assert "authorization" not in request.headers
        assert CANARY not in str(request)


# ---- the Hub in trouble


@pytest.mark.parametrize("only", ["/api/", "/resolve/", "model.safetensors"])
@pytest.mark.parametrize("mode", ["refuse", "500", "hang", "garbage"])
def test_trouble_is_one_error_within_the_time(tiny, serve, mode, only):
    check_failure(serve(tiny), mode, only)


@pytest.mark.parametrize("only", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("mode", ["truncate", "smaller", "damage"])
def test_a_spoiled_file_is_one_error_within_the_time(tiny, serve, mode, only):
    check_failure(serve(tiny), mode, only)


def check_failure(server: FakeHub, mode: str, only: str) -> None:
    """A clear error in time, and no effect on the next call."""
    server.misbehave(mode, only)
    start = time.monotonic()
    with pytest.raises(HubUnavailable) as caught:
        hub.fetch(NAME, settings=QUICK)
    assert time.monotonic() - start < 20 * SECONDS
    assert caught.value.status == 503
    assert NAME in caught.value.message
    assert server.url not in str(caught.value)
    assert hub.cached(NAME) is None

    server.misbehave("ok")
    assert retry_until_answered(fetch).folder.is_dir()


def test_no_server_at_all(tiny, serve):
    server = serve(tiny)
    server.__exit__()
    with pytest.raises(HubUnavailable, match=r"cannot be reached|does not answer"):
        hub.fetch(NAME, settings=QUICK)


def test_the_hint_says_what_is_available(tiny, serve, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path / "bundled")
    shutil.copytree(tiny, tmp_path / "bundled" / "sst2-minilm")
    serve(tiny).misbehave("500")
    with pytest.raises(HubUnavailable) as caught:
        hub.fetch(NAME, settings=QUICK)
    assert caught.value.hint == "Available now: bundled/sst2-minilm."


@pytest.mark.parametrize("mode", ["refuse", "500", "hang", "garbage", "offline"])
def test_what_is_cached_works_while_the_hub_does_not(tiny, serve, monkeypatch, mode):
    server = serve(tiny)
    first = retry_until_answered(fetch)
    if mode == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        server.misbehave(mode)
    server.requests.clear()
    assert hub.fetch(NAME, settings=QUICK) == first
    assert fetch(revision=first.revision) == first
    assert len(server.requests) <= 1
    assert mode != "offline" or not server.requests


def test_offline_and_not_cached(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnavailable, match="works offline"):
        fetch()


def test_a_cache_that_others_filled_is_used(tiny, serve, monkeypatch):
    from huggingface_hub import snapshot_download

    server = serve(tiny)
    folder = snapshot_download(NAME, endpoint=server.url, cache_dir=constants.HF_HUB_CACHE, token=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch().folder == Path(folder)
    assert hub.cached(NAME, "main").folder == Path(folder)
    assert hub.cached(NAME, "other") is None


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_partial_cache_is_not_used(tiny, serve, monkeypatch, missing):
    serve(tiny)
    (fetch().folder / missing).unlink()
    assert hub.cached(NAME) is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnavailable):
        fetch()


def test_a_server_that_never_answers_leaves_no_thread_for_long(tiny, serve):
    server = serve(tiny)
    server.misbehave("hang", "/api/")
    before = set(threading.enumerate())
    for _ in range(3):
        with pytest.raises(HubUnavailable):
            hub.fetch(NAME, settings=QUICK)
    server.misbehave("ok")
    eventually(lambda: not any(thread.name == "hub" for thread in threading.enumerate()))
    # Servers of other tests may start and stop workers meanwhile, and the fake Hub has some of its own.
    left = [
        t.name
        for t in set(threading.enumerate()) - before
        if not t.name.startswith("AnyIO") and "process_request" not in t.name
    ]
    assert len(left) <= 1, left


# ---- lies


def test_more_bytes_than_stated_are_not_taken(tiny, serve, cache):
    serve(tiny).misbehave("larger", "model.safetensors")
    with pytest.raises(ModelRefused, match=r"bytes for model\.safetensors .* and sends more"):
        fetch()
    assert not any(path.name == "model.safetensors" for path in cache.rglob("*"))
    assert not list(cache.rglob("*.incomplete"))


def test_a_size_stated_too_small_or_too_large(tiny, serve, cache):
    true = (tiny / "model.safetensors").stat().st_size
    serve(Repository(tiny, sizes={"model.safetensors": true - 1}))
    with pytest.raises(ModelRefused, match="sends more"):
        fetch()
    serve(Repository(tiny, sizes={"model.safetensors": true + 1}))
    with pytest.raises(HubUnavailable, match="arrived damaged"):
        fetch()
    assert hub.cached(NAME) is None


@pytest.mark.parametrize(
    "info", [{"sha": None}, {"sha": "main"}, {"siblings": [{"rfilename": "config.json"}]}, {"siblings": 3}]
)
def test_a_description_that_is_none(tiny, serve, info):
    serve(tiny, **info)
    with pytest.raises(HubUnavailable):
        fetch()


# ---- refused before anything is downloaded


def check_refused(server: FakeHub, error: type[ModelError], match: str, settings: Settings = PATIENT) -> None:
    """Check that the model is refused and that no file was requested."""
    with pytest.raises(error, match=match):
        hub.fetch(NAME, settings=settings)
    assert server.paths("/resolve/") == []
    assert hub.cached(NAME) is None


def test_pickled_weights_are_refused(copy, serve):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    check_refused(serve(copy), ModelRefused, "safetensors only")


def test_remote_code_is_refused_by_the_description(tiny, serve):
    check_refused(serve(tiny, tags=["custom_code"]), ModelRefused, "auto_map")
    check_refused(serve(tiny, config={"auto_map": {"AutoModel": "modeling.Tiny"}}), ModelRefused, "never run")


def test_remote_code_is_refused_by_the_config_before_the_weights_come(copy, serve):
    server = serve(edit(copy, text_config={"auto_map": {"AutoModel": "modeling.Tiny"}}))
    with pytest.raises(ModelRefused, match="auto_map"):
        fetch()
    assert {path.rsplit("/", 1)[1] for path in server.paths("/resolve/")} == {"config.json"}


def test_remote_code_of_a_tokenizer_is_refused(copy, serve):
    serve(edit(copy, "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokens.Tiny", None]}))
    with pytest.raises(ModelRefused, match="auto_map"):
        fetch()


def test_a_large_model_is_refused(tiny, serve):
    check_refused(serve(Repository(tiny, sizes={"model.safetensors": 10**12})), ModelTooLarge, "1,000,000 MB")
    check_refused(serve(tiny), ModelTooLarge, "At most 0 MB", replace(PATIENT, max_model_bytes=1000))


def test_a_model_larger_than_the_free_disk_is_refused(tiny, serve):
    settings = replace(PATIENT, max_model_bytes=10**16)
    check_refused(
        serve(Repository(tiny, sizes={"model.safetensors": 10**15})),
        ModelTooLarge,
        "free on this machine",
        settings,
    )


def test_many_files_are_refused(copy, serve):
    for i in range(40):
        (copy / f"{i}.spm").write_bytes(b"boo")
    check_refused(serve(copy), ModelTooLarge, "At most 32")


def test_a_large_config_is_refused(copy, serve):
    check_refused(
        serve(edit(copy, note="x" * DEFAULTS.max_config_bytes)),
        ModelRefused,
        r"config\.json of tiny/bert has",
    )


def test_a_repository_without_a_config_is_refused(copy, serve):
    (copy / "config.json").unlink()
    check_refused(serve(copy), ModelRefused, "not a transformers model")


def test_missing_shards_are_refused(copy, serve):
    next(iter(sorted(shard(copy).glob("model-*.safetensors"))[1:])).unlink()
    check_refused(serve(copy), ModelRefused, "not complete")


@pytest.mark.parametrize("info", [{"gated": "manual"}, {"gated": "auto"}])
def test_a_gated_model_is_refused(tiny, serve, info):
    check_refused(serve(tiny, **info), GatedModel, "permission")


@pytest.mark.parametrize("mode", ["gated", "forbidden"])
@pytest.mark.parametrize("only", ["/api/", "/resolve/"])
def test_a_hub_that_asks_for_permission(tiny, serve, mode, only):
    server = serve(tiny)
    server.misbehave(mode, only)
    with pytest.raises(GatedModel, match="permission"):
        fetch()


def test_a_model_or_revision_that_does_not_exist(tiny, serve):
    serve(tiny)
    with pytest.raises(UnknownModel, match="no model tiny/missing"):
        fetch("tiny/missing")
    with pytest.raises(UnknownModel, match="at 'v2'"):
        fetch(revision="v2")
    with pytest.raises(UnknownModel):
        fetch(revision="0" * 40)


# ---- hostile names

HOSTILE = [
    "tests", "bundled", ".", "..", "./bert", "../bert", "../../etc/passwd", "/etc/passwd", "~/bert",
    "bert/", "/bert", "tiny//bert", "tiny/bert/", "tiny/../bert", "tiny/..", "a..b/c", "a--b/c--d",
    "https://huggingface.co/tiny/bert", "http://127.0.0.1/x", "http://169.254.169.254/latest",
    "file:///etc/passwd", "hf://tiny/bert", "tiny\\bert", "tiny/bert\n", "tiny/bert\0", " tiny/bert",
    "tiny/bert ", "tiny/be rt", "tiny/bert?x=1", "tiny/bert#x", "tiny/bert@main", "tiny/%2e%2e",
    "tiny/bert.git", "-tiny/bert", "tiny/.bert", "tiny/bert.", "тiny/bert", "tiny/bеrt", "tiny/\ud800",
    "a/" + "b" * 100, "datasets/tiny/bert", "models--tiny--bert", "C:/bert", "${HOME}/bert", "tiny/bert;ls",
    "\u202etiny/bert", "", "/", None, 7, b"tiny/bert", Path("tiny/bert"),
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_reach_neither_the_network_nor_the_disk(tiny, serve, tmp_path, name):
    server = serve(tiny)
    with record_opens() as opened:
        with pytest.raises(UnknownModel) as caught:
            hub.fetch(name)
        with pytest.raises(UnknownModel):
            hub.cached(name)
    assert server.requests == []
    assert [path for path in opened if str(tmp_path) in path] == []
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "..",
        "../main",
        "a/../../b",
        "/main",
        "main/",
        "a//b",
        "ma in",
        "main\n",
        "x" * 200,
        "refs/pr/1.lock",
        7,
        "a..b",
    ],
)
def test_hostile_revisions(tiny, serve, revision):
    server = serve(tiny)
    with pytest.raises(UnknownModel, match="not a revision"):
        fetch(revision=revision)
    assert server.requests == []


def test_folders_of_the_working_directory_are_never_opened(tiny, serve, tmp_path):
    for decoy in ("tiny/bert", "bert", "tests", "tiny--bert"):
        shutil.copytree(tiny, tmp_path / "work" / decoy)
    (tmp_path / "work" / "link").symlink_to(tiny)
    serve(tiny)
    with record_opens() as opened:
        fetch()
    assert any("cache" in path for path in opened)
    assert [path for path in opened if not Path(path).is_absolute() or str(tmp_path / "work") in path] == []


# ---- folders


def test_inspect_a_folder(tiny):
    contents = inspection.inspect(tiny)
    assert contents.config["model_type"] == "bert"
    assert contents.bytes == (tiny / "model.safetensors").stat().st_size
    assert 1000 < contents.parameters < 10_000


def header(size: int, content: bytes) -> bytes:
    return struct.pack("<Q", size) + content


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\x80\x04\x95",
        header(2, b"{}")[:9],
        header(1 << 60, b"{}"),
        header(40, b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
        header(57, b'{"w":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}}'),
        header(30, b"[" * 30),
    ],
)
def test_damaged_weights_are_refused(copy, weights):
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelRefused, match="damaged"):
        inspection.inspect(copy)


@pytest.mark.parametrize(
    "config", ["", "{", "[]", "3", "null", '{"a":' * 100_000, "\ud800".encode("utf-16", "surrogatepass")]
)
def test_a_config_that_is_none_is_refused(copy, config):
    (copy / "config.json").write_bytes(config if isinstance(config, bytes) else config.encode())
    with pytest.raises(ModelRefused, match=r"config\.json"):
        inspection.inspect(copy)


@pytest.mark.parametrize(
    "bomb",
    [
        {"num_hidden_layers": 10**6},
        {"num_labels": 10**9},
        {"vocab_size": 10**12},
        {"hidden_size": 10**6, "intermediate_size": 10**6},
        {"max_position_embeddings": 10**9},
        {"nested": [{"n_layers": 10**5}]},
    ],
    ids=str,
)
def test_a_config_bomb_is_refused_at_once(copy, bomb):
    start = time.monotonic()
    with pytest.raises(ModelTooLarge):
        inspection.inspect(edit(copy, **bomb))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "changes",
    [{"model_type": "no-such"}, {"hidden_size": 7}, {"architectures": 3}, {"hidden_act": "boo"}],
    ids=str,
)
def test_a_config_that_transformers_cannot_use_is_refused(copy, changes):
    with pytest.raises(ModelRefused, match="transformers cannot build"):
        inspection.inspect(edit(copy, **changes))


@pytest.mark.parametrize("architecture", ["pipeline", "AutoModel", "Trainer", "nothing"])
def test_an_architecture_is_only_ever_a_model_class(copy, architecture):
    assert inspection.inspect(edit(copy, architectures=[architecture])).parameters > 0


def test_an_index_must_fit_its_files(copy):
    edit(shard(copy), "model.safetensors.index.json", weight_map={"a": "../../secret.safetensors"})
    with pytest.raises(ModelRefused, match="index"):
        inspection.inspect(copy)


def test_a_folder_without_tokenizer_weights_or_itself(copy, tmp_path):
    with pytest.raises(UnknownModel):
        inspection.inspect(tmp_path / "nothing")
    (copy / "tokenizer.json").rename(copy / "tokens.txt")
    with pytest.raises(ModelRefused, match="no tokenizer"):
        inspection.inspect(copy)
    (copy / "tokens.txt").rename(copy / "tokenizer.json")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelRefused, match="safetensors only"):
        inspection.inspect(copy)
