"""Threads, memory, placement, precision, quantized weights, and models that accelerate offloads."""

from __future__ import annotations

import gc
import itertools
import json
import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from scipy.stats import kendalltau

from attribution.engine import Engine
from attribution.errors import ModelRefused, ModelTooLarge, Unsupported
from attribution.methods import list_methods
from attribution.models.adapter import Adapter
from attribution.models.sources import devices, hub, inspection, offloading
from attribution.models.sources.devices import Accelerator, Placement
from attribution.models.sources.store import load_folder
from attribution.models.twin import make_twin
from attribution.settings import DEFAULTS
from attribution.types import Attribution
from tests.families import FAMILIES as ARCHITECTURES
from tests.quick import QUICK
from tests.tiny import FAMILIES

TEXT = "the movie was not good"
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
GIB = 1 << 30


# ---- threads and memory of a container


def container(root: Path, groups: str, **files: str) -> Path:
    """A false root: ``/proc/self/cgroup`` and files under ``/sys/fs/cgroup`` (``__`` for a slash)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu_DOT_max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu_DOT_max": "max 100000\n"}, 8.0),
        ("0::/\n", {"cpu_DOT_max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu_DOT_max": "damaged"}, 8.0),
        ("0::/\n", {}, 8.0),
        ("0::/a/b\n", {"a__cpu_DOT_max": "300000 100000\n", "a__b__cpu_DOT_max": "max 100000\n"}, 3.0),
        ("0::/not/seen/here\n", {"cpu_DOT_max": "400000 100000\n"}, 4.0),
        (
            "4:cpu,cpuacct:/\n",
            {"cpu__cpu.cfs_quota_us": "150000\n", "cpu__cpu.cfs_period_us": "100000\n"},
            1.5,
        ),
        (
            "4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct__cpu.cfs_quota_us": "-1\n", "cpu,cpuacct__cpu.cfs_period_us": "100000\n"},
            8.0,
        ),
        (
            "4:memory:/\n1:cpu:/x\n",
            {"cpu__x__cpu.cfs_quota_us": "250000\n", "cpu__x__cpu.cfs_period_us": "50000\n"},
            5.0,
        ),
        ("", {"cpu_DOT_max": "100000 100000\n"}, 8.0),
    ],
)
def test_the_quota_of_the_strictest_group_counts(groups, files, expected, tmp_path):
    assert devices.processors(container(tmp_path, groups, **files), usable=8) == expected


def test_without_control_groups_the_affinity_mask_counts(tmp_path):
    assert devices.processors(tmp_path, usable=3) == 3
    assert devices.processors(tmp_path) >= 1


@pytest.mark.parametrize(
    ("present", "environment", "quota", "expected"),
    [
        (8, {}, "250000 100000", 2),
        (8, {}, "50000 100000", 1),
        (1, {}, "400000 100000", 1),  # never more than there were
        (8, {"OMP_NUM_THREADS": "6"}, "100000 100000", 8),  # torch has read it already
        (8, {"MKL_NUM_THREADS": "6"}, "100000 100000", 8),
        (8, {"OMP_NUM_THREADS": " "}, "100000 100000", 1),
    ],
)
def test_no_more_threads_than_processors_unless_somebody_says_so(
    present, environment, quota, expected, tmp_path
):
    root = container(tmp_path, "0::/\n", cpu_DOT_max=quota)
    assert devices.choose_threads(present, root, environment, usable=4) == expected


def test_threads_are_set_by_programs_and_not_by_importing(tmp_path, monkeypatch):
    for name in devices.OWN_CHOICE:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        root = container(tmp_path, "0::/\n", cpu_DOT_max="100000 100000")
        assert devices.set_threads(root) == 1 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_the_app_sets_its_threads_when_it_is_served(monkeypatch):
    from components import application

    def first(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(application.devices, "set_threads", first)
    with pytest.raises(KeyboardInterrupt):
        application.serve(None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory_DOT_max": "1000\n", "memory_DOT_current": "300\n"}, 700),
        ("0::/\n", {"memory_DOT_max": "max\n", "memory_DOT_current": "300\n"}, 5000),
        ("0::/\n", {"memory_DOT_max": "1000\n", "memory_DOT_current": "1300\n"}, 0),
        (
            "2:memory:/x\n",
            {"memory__memory.limit_in_bytes": "900\n", "memory__memory.usage_in_bytes": "100\n"},
            800,
        ),
        ("", {}, 5000),
    ],
)
def test_a_container_has_only_the_memory_of_its_group(groups, files, expected, tmp_path):
    assert devices.free_memory(container(tmp_path, groups, **files), available=5000) == expected


def test_this_machine_has_processors_and_memory():
    assert devices.processors() > 0
    assert devices.free_memory() > 0


# ---- placement and precision

BIG = 4 * GIB  # parameters: 16 GiB as float32, 8 GiB as bfloat16


def gpus(*free: int, bfloat16: bool = True) -> tuple[Accelerator, ...]:
    return tuple(Accelerator(i, size * GIB, bfloat16) for i, size in enumerate(free))


@pytest.mark.parametrize(
    ("device", "accelerators", "memory", "expected"),
    [
        (CPU, (), 24, Placement({"": CPU}, torch.float32)),
        (CPU, (), 10, Placement("auto", torch.float32, {"cpu": 8 * GIB})),
        (torch.device("mps"), (), 10, Placement({"": torch.device("mps")}, torch.float32)),
        (CUDA, gpus(24), 24, Placement({"": CUDA}, torch.float32)),
        (
            CUDA,
            gpus(15, 15),
            20,
            Placement("auto", torch.float32, {0: 12 * GIB, 1: 12 * GIB, "cpu": 16 * GIB}),
        ),
        (CUDA, gpus(15), 20, Placement({"": CUDA}, torch.bfloat16)),
        (CUDA, gpus(5, 10), 20, Placement("auto", torch.bfloat16, {0: 4 * GIB, 1: 8 * GIB, "cpu": 16 * GIB})),
        (CUDA, gpus(5), 20, Placement("auto", torch.bfloat16, {0: 4 * GIB, "cpu": 16 * GIB})),
        (
            CUDA,
            gpus(15, bfloat16=False),
            20,
            Placement("auto", torch.float32, {0: 12 * GIB, "cpu": 16 * GIB}),
        ),
    ],
)
def test_a_model_goes_where_it_loses_least(device, accelerators, memory, expected):
    assert devices.place(BIG, device, accelerators, memory * GIB, DEFAULTS) == expected


def test_the_share_for_weights_is_a_setting():
    assert devices.place(BIG, CPU, (), 17 * GIB, replace(DEFAULTS, memory_share=1.0)).device_map == {"": CPU}
    assert devices.place(BIG, CPU, (), 17 * GIB, replace(DEFAULTS, memory_share=0.5)).max_memory == {
        "cpu": 17 * GIB // 2
    }


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("cuda", (7, 5), False),
        ("cuda", (8, 0), True),
        ("cuda", (9, 0), True),
        ("cuda", None, True),
        ("xpu", None, True),
        ("mps", None, False),
    ],
)
def test_which_accelerators_compute_in_bfloat16(kind, capability, expected):
    assert devices.has_bfloat16(kind, capability) is expected


class FakeGpus:
    """What ``torch.cuda`` says of two GPUs."""

    memory = ((10, 80), (30, 80))

    def device_count(self) -> int:
        return 2

    def mem_get_info(self, index: int) -> tuple[int, int]:
        return self.memory[index]

    def memory_reserved(self, index: int) -> int:
        return 7

    def memory_allocated(self, index: int) -> int:
        return 4

    def get_device_capability(self, index: int) -> tuple[int, int]:
        return (8, 6) if index else (7, 0)


@pytest.mark.parametrize(
    ("own", "processes", "expected"),
    [
        (0, 1, (Accelerator(0, 13, False), Accelerator(1, 33, True))),
        (1, 1, (Accelerator(1, 33, True), Accelerator(0, 13, False))),
        (1, 2, (Accelerator(1, 33, True),)),
    ],
)
def test_a_process_uses_its_own_gpu_first_and_no_other_process_s(own, processes, expected, monkeypatch):
    class State:
        device, num_processes = torch.device("cuda", own), processes

    monkeypatch.setattr(devices, "PartialState", State)
    monkeypatch.setattr(torch, "cuda", FakeGpus())
    assert devices.accelerators() == expected


def test_quantized_weights_are_not_split():
    assert devices.place_quantized(100, CPU, 100) == Placement({"": CPU}, torch.float32)
    with pytest.raises(ModelTooLarge, match="not split"):
        devices.place_quantized(101, CPU, 100)


# ---- models whose weights are not all there


def to_memory(model: Any, folder: Path) -> Any:
    return cpu_offload(model, execution_device=CPU)


def to_disk(model: Any, folder: Path) -> Any:
    return disk_offload(model, folder, execution_device=CPU)


def halves(model: Any, folder: Path) -> Any:
    """Every second module that holds weights is on disk; what is shared stays."""
    owners = [name for name, m in model.named_modules() if any(p is not None for p in m._parameters.values())]
    uses = Counter(id(p) for m in model.modules() for p in m._parameters.values() if p is not None)
    shared = [any(uses[id(p)] > 1 for p in model.get_submodule(name).parameters()) for name in owners]
    places = {
        name: "cpu" if is_shared or i % 2 else "disk"
        for i, (name, is_shared) in enumerate(zip(owners, shared, strict=True))
    }
    places |= {key: "cpu" for key in model.state_dict() if key.rsplit(".", 1)[0] not in places}
    return dispatch_model(model, places, offload_dir=folder)


WAYS: dict[str, Callable[[Any, Path], Any]] = {"memory": to_memory, "disk": to_disk, "halves": halves}


def bits(model: Any) -> dict[str, bytes]:
    return {
        name: t.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        for name, t in model.state_dict().items()
    }


def all_weights(model: Any) -> dict[str, bytes]:
    """The bytes of all weights, offloaded or not."""
    weights = {}
    for name, module in model.named_modules():
        own = [hook for hook in offloading.hooks_of(module) if hook.offload]
        for key, tensor in itertools.chain(
            module.named_parameters(recurse=False), module.named_buffers(recurse=False)
        ):
            weight = own[0].weights_map[key] if tensor.is_meta else tensor
            weights[f"{name}.{key}"] = weight.detach().contiguous().numpy().tobytes()
    return weights


def run(model: Adapter, method: str, **fields: Any) -> Attribution:
    return Engine().attribute(TEXT, model, method, options=QUICK.get(method), max_new_tokens=2, **fields)


def near(got: Attribution, expected: Attribution) -> None:
    """Equal but for rounding: torch multiplies in another order where a weight has no gradient."""
    np.testing.assert_allclose(
        got.scores, expected.scores, atol=1e-4 * np.abs(expected.scores).max(), err_msg=got.title
    )


CHEAP = (
    "saliency",
    "integrated_gradients",
    "occlusion",
    "lime",
    "attention",
    "attention_x_gradient",
    "value_zeroing",
    "lrp",
    "deeplift",
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_offloaded_model_has_the_same_scores_and_keeps_its_weights(family, way, tmp_path):
    model, tokenizer = FAMILIES[family]()
    plain = Adapter(*FAMILIES[family]())
    model = WAYS[way](model, tmp_path)
    assert offloading.is_offloaded(model) and not offloading.is_offloaded(plain.model)
    before = all_weights(model)
    dispatched = Adapter(model, tokenizer)
    assert dispatched.device == CPU
    for method in CHEAP:
        expected, got = run(plain, method), run(dispatched, method)
        near(got, expected)
        np.testing.assert_allclose(got.prediction.logits, expected.prediction.logits, rtol=1e-4, atol=1e-5)
    assert all_weights(model) == before == all_weights(dispatched.model)
    assert offloading.is_offloaded(model) and offloading.is_offloaded(dispatched.model)


@pytest.mark.parametrize(
    "family",
    ["roberta", "modernbert", "bart-classifier", "llama", "gemma2", "qwen3", "bloom", "flan-t5", "marian"],
)
def test_other_architectures_too(family, tmp_path):
    from attribution.models.sources.store import load

    model, tokenizer = ARCHITECTURES[family].build()
    plain = load(*ARCHITECTURES[family].build())
    dispatched = load(to_disk(model, tmp_path), tokenizer)
    for method in ("saliency", "occlusion") if isinstance(plain, Adapter) else ("occlusion",):
        expected = Engine().attribute(TEXT, plain, method, max_new_tokens=2)
        near(Engine().attribute(TEXT, dispatched, method, max_new_tokens=2), expected)


def test_a_model_that_cannot_be_offloaded_says_so(tmp_path):
    """DeBERTa reads its table of relative positions without calling it: accelerate cannot offload it."""
    model, tokenizer = ARCHITECTURES["deberta-v2"].build()
    with pytest.raises(Unsupported, match=r"weights of a part that it does not call.*Load all of it"):
        run(Adapter(to_disk(model, tmp_path), tokenizer), "saliency")


def test_threads_take_turns_in_an_offloaded_model(tmp_path):
    model, tokenizer = FAMILIES["gpt2"]()
    dispatched = Adapter(to_disk(model, tmp_path), tokenizer)
    plain = Adapter(*FAMILIES["gpt2"]())
    pairs = [
        (text, method)
        for text in ("the film", "a bad plot", TEXT)
        for method in ("saliency", "occlusion", "attention")
    ] * 2
    engine = Engine(replace(DEFAULTS, running_requests=8))

    def ask(pair: tuple[str, str]) -> Attribution:
        return engine.attribute(pair[0], dispatched, pair[1], max_new_tokens=2)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, pairs))
    for (text, method), got in zip(pairs, results, strict=True):
        near(got, engine.attribute(text, plain, method, max_new_tokens=2))


def test_a_failure_leaves_no_weights_behind(tmp_path):
    model, tokenizer = FAMILIES["bert"]()
    dispatched = Adapter(to_disk(model, tmp_path), tokenizer)
    expected = run(dispatched, "saliency").scores
    ids = torch.tensor([[10**6]])  # no such token: the embedding raises while its weights are there
    with pytest.raises(IndexError):
        dispatched.model(input_ids=ids)
    assert all(p.is_meta for p in dispatched.model.parameters())
    np.testing.assert_array_equal(run(dispatched, "saliency").scores, expected)


class Watched(dict):  # type: ignore[type-arg]
    """Weights copied on each access, as from a slower memory; ``alive`` counts the copies still held."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__(weights)
        self.copies: list[weakref.ref[Any]] = []

    def __getitem__(self, key: str) -> torch.Tensor:
        copy = super().__getitem__(key).clone()
        self.copies.append(weakref.ref(copy.untyped_storage()))
        return copy

    def alive(self) -> int:
        gc.collect()
        return sum(ref() is not None for ref in self.copies)


def test_a_graph_does_not_hold_the_weights(tmp_path):
    """Else a backward pass would need the whole model on the device."""
    model, _ = FAMILIES["bert"]()
    leaf = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = torch.autograd.grad(model(inputs_embeds=leaf).logits[0, 1], leaf)[0]
    weights = Watched({name: tensor.clone() for name, tensor in model.state_dict().items()})
    model = cpu_offload(model, execution_device=CPU, state_dict=weights)

    private = make_twin(model)
    value = private(inputs_embeds=leaf).logits[0, 1]
    assert len(weights.copies) > 30 and weights.alive() == 0
    np.testing.assert_array_equal(torch.autograd.grad(value, leaf)[0], expected)

    held = model(inputs_embeds=leaf).logits[0, 1]  # the user's own model is left as accelerate made it
    assert held.requires_grad and weights.alive() > 0


def test_a_weight_can_be_had_wherever_it_is(tmp_path):
    model, _ = FAMILIES["bert"]()
    expected = model.bert.pooler.dense.weight.detach().clone()
    assert offloading.weight_of(model.bert.pooler.dense) is model.bert.pooler.dense.weight
    away = make_twin(to_disk(model, tmp_path)).bert.pooler
    assert away.dense.weight.is_meta
    np.testing.assert_array_equal(offloading.weight_of(away.dense), expected)
    assert offloading.weight_of(away.activation) is None
    away.dense._parameters["weight"] = torch.nn.Parameter(
        torch.zeros(2, 2, dtype=torch.uint8), requires_grad=False
    )
    with pytest.raises(Unsupported, match="quantized"):
        offloading.weight_of(away.dense)


def test_a_twin_of_a_twin_shares_the_weights_and_the_turn(tmp_path):
    model, _ = FAMILIES["gpt2"]()
    first_twin = make_twin(to_memory(model, tmp_path))
    other = make_twin(first_twin)
    assert vars(first_twin)["_attribution_turn"] is vars(other)["_attribution_turn"]
    for (_, a), (_, b) in zip(first_twin.named_modules(), other.named_modules(), strict=True):
        for first, second in zip(offloading.hooks_of(a), offloading.hooks_of(b), strict=True):
            assert first is not second and first.weights_map is second.weights_map
    assert "_attribution_turn" not in vars(model)
    assert "_attribution_turn" not in vars(make_twin(FAMILIES["gpt2"]()[0]))


def save_tiny(folder: Path, family: str = "llama") -> Path:
    model, tokenizer = ARCHITECTURES[family].build()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["bert", "llama", "flan-t5", "bart-classifier"])
def test_a_folder_that_does_not_fit_is_read_from_disk(family, tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "model", family)
    plain = load_folder(folder)
    size = (folder / inspection.WEIGHTS).stat().st_size
    monkeypatch.setattr(devices, "free_memory", lambda: size // 2)
    monkeypatch.setattr(offloading.tempfile, "tempdir", str(tmp_path))
    large = load_folder(folder)
    assert not isinstance(large, Adapter) or offloading.is_offloaded(large.model)
    for method in ("saliency", "occlusion", "attention") if isinstance(plain, Adapter) else ("occlusion",):
        expected = Engine().attribute(TEXT, plain, method, max_new_tokens=2)
        near(Engine().attribute(TEXT, large, method, max_new_tokens=2), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]  # no folder is left over


def test_the_folder_for_weights_goes_with_the_model(tmp_path, monkeypatch):
    """A stand-in for a mixture of experts, whose weights transformers writes anew."""
    folder = save_tiny(tmp_path / "model")
    monkeypatch.setattr(offloading.tempfile, "tempdir", str(tmp_path))

    class Writer:
        @staticmethod
        def from_pretrained(source: Path, **options: Any) -> Any:
            model, report = __import__("transformers").LlamaForCausalLM.from_pretrained(source, **options)
            (Path(options["offload_folder"]) / "weight.safetensors").write_bytes(b"")
            return model, report

    placed = Placement("auto", torch.float32, {"cpu": 8000})
    model, _ = offloading.load_model(Writer, folder, placed)
    private = make_twin(model)
    own = next(path for path in tmp_path.iterdir() if path.name != "model")
    del model
    gc.collect()
    assert own.is_dir() and private is not None
    del private
    gc.collect()
    assert not own.exists()
    with pytest.raises(OSError):
        offloading.load_model(Writer, tmp_path / "nothing", placed)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# ---- bfloat16

INNER = tuple(name for name, m in list_methods().items() if m.needs != "texts" and not m.companion)


@pytest.fixture(scope="module")
def in_both_precisions() -> dict[str, tuple[Adapter, Adapter]]:
    """Each tiny model as float32 and as bfloat16."""
    pairs = {name: (make(), make()) for name, make in FAMILIES.items()}
    return {
        name: (Adapter(*full), Adapter(model.to(torch.bfloat16), tokenizer))
        for name, (full, (model, tokenizer)) in pairs.items()
    }


@pytest.mark.parametrize(
    "method", [name for name in INNER if name != "ensemble"]
)  # whose members are tried themselves
@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_gives_finite_scores_near_those_of_float32(family, method, in_both_precisions):
    full, half = in_both_precisions[family]
    options: dict[str, Any] = {} if full.task.classifies else {"continuation": " good"}
    if full.task.classifies:
        options["target"] = full.info.labels[1]
    expected, got = (
        Engine().attribute(TEXT, model, method, options=QUICK.get(method), **options)
        for model in (full, half)
    )
    assert np.isfinite(got.scores).all()
    scale = np.abs(expected.scores).max()
    assert (
        np.abs(got.scores - expected.scores).max() < 0.3 * scale
    )  # the worst seen: 0.22, T5 by sequential integrated gradients
    assert kendalltau(got.scores, expected.scores).statistic > 0.8  # the worst seen: 0.90


def test_the_two_ways_to_the_logits_are_compared_as_finely_as_the_weights(in_both_precisions):
    full, half = in_both_precisions["t5"]
    assert full._rounding < half._rounding
    assert half.eager is not half.model


# ---- quantized checkpoints


def with_config(folder: Path, **entries: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
    return folder


@pytest.mark.parametrize("kind", ["gptq", "awq", "compressed-tensors", "mxfp4", "hqq", "quanto", "made-up"])
def test_what_nobody_has_tried_is_refused_by_name(kind, tmp_path):
    folder = with_config(save_tiny(tmp_path), quantization_config={"quant_method": kind, "bits": 4})
    with pytest.raises(
        ModelRefused,
        match=f"quantized with '{kind}'.*checkpoint that it was made from.*bitsandbytes or torchao or fp8",
    ):
        load_folder(folder, name="a/b")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ""),
        ({"quantization_config": None}, ""),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"text_config": {"quantization_config": {"quant_method": "gptq"}}}, "gptq"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"bits": 4}}, "unknown"),
        ({"quantization_config": [1]}, "unknown"),
    ],
)
def test_what_a_config_says_of_quantization(config, expected):
    assert devices.quantization_of(config) == expected


@pytest.mark.parametrize("kind", ["bitsandbytes", "torchao"])
def test_a_missing_package_is_named(kind):
    config = {"quantization_config": {"quant_method": kind}}
    with pytest.raises(ModelRefused, match=f"pip install {kind}"):
        devices.check_quantized(config, "a/b", installed=lambda _: False)
    assert devices.check_quantized(config, "a/b", installed=lambda package: package == kind) == kind


def test_a_hub_s_description_is_enough_to_refuse():
    from huggingface_hub import ModelInfo

    description = ModelInfo(
        id="a/b", sha="0" * 40, config={"quantization_config": {"quant_method": "gptq"}}, siblings=[]
    )
    with pytest.raises(ModelRefused, match="gptq"):
        hub.choose_files("a/b", description, DEFAULTS, False)


def test_a_repository_of_gguf_files_is_refused_by_name(tmp_path):
    from huggingface_hub import ModelInfo

    files = [{"rfilename": name, "size": 1} for name in ("README.md", "q4/model.Q4_K_M.gguf")]
    with pytest.raises(ModelRefused, match=r"GGUF files only.*safetensors"):
        hub.choose_files("a/b", ModelInfo(id="a/b", sha="0" * 40, siblings=files), DEFAULTS, False)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelRefused, match="GGUF files only"):
        load_folder(tmp_path)


def test_fp8_is_unpacked_to_the_numbers_that_it_stands_for(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_tiny(tmp_path)
    weights = load_file(folder / inspection.WEIGHTS)
    packed, meant = {}, {}
    for name, tensor in weights.items():
        if not name.endswith("proj.weight"):
            packed[name] = meant[name] = tensor
            continue
        scale = tensor.abs().max() / 448
        packed[name] = (tensor / scale).to(torch.float8_e4m3fn)
        packed[name.replace("weight", "weight_scale_inv")] = scale.view(1, 1)
        meant[name] = packed[name].float() * scale
    quantization = {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "weight_block_size": [128, 128],
    }
    other = save_tiny(tmp_path / "other")
    with_config(folder, quantization_config=quantization)
    save_file(packed, folder / inspection.WEIGHTS, metadata={"format": "pt"})
    save_file(meant, other / inspection.WEIGHTS, metadata={"format": "pt"})
    got, expected = load_folder(folder), load_folder(other)
    assert isinstance(got, Adapter) and isinstance(expected, Adapter)
    assert {p.dtype for p in got.model.parameters()} == {torch.float32}
    assert bits(got.model) == bits(expected.model)
    for method in ("saliency", "occlusion"):
        np.testing.assert_array_equal(run(got, method).scores, run(expected, method).scores)


@pytest.mark.parametrize("bits_each", [4, 8])
def test_bitsandbytes_weights_have_gradients(bits_each, tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: the app does not need it")
    from transformers import BitsAndBytesConfig, LlamaForCausalLM

    from tests.families import GROUPED, _maker, llama_bytes

    sizes = {**GROUPED, "hidden_size": 128, "head_dim": 64, "intermediate_size": 256}
    model, tokenizer = _maker("Llama", llama_bytes, sizes, 3.0)("LlamaForCausalLM")()
    model.save_pretrained(tmp_path / "full")
    how = BitsAndBytesConfig(
        load_in_4bit=bits_each == 4, load_in_8bit=bits_each == 8, bnb_4bit_quant_type="nf4"
    )
    small = LlamaForCausalLM.from_pretrained(
        tmp_path / "full", quantization_config=how, device_map={"": "cpu"}, dtype=torch.float32
    )
    small.save_pretrained(tmp_path / "small")
    tokenizer.save_pretrained(tmp_path / "small")
    full, got = Adapter(model, tokenizer), load_folder(tmp_path / "small")
    assert isinstance(got, Adapter) and got.bytes < full.bytes / 2
    for method in ("saliency", "integrated_gradients", "occlusion", "attention"):
        expected = run(full, method, continuation=" and").scores
        assert kendalltau(run(got, method, continuation=" and").scores, expected).statistic > 0.6
