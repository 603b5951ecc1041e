"""How alike two rankings are: against scipy, closed forms, and sets counted one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from attribution.errors import BadOption
from attribution.metrics.common.correlation import kendall, spearman
from attribution.studies.agreement import (
    MEASURES,
    agreement,
    overlap,
    ranks,
    rbo,
    strongest_count,
    top,
)

# Few different values, so that ties are common.
SCORES = st.lists(st.integers(-4, 4).map(lambda n: n / 3), min_size=2, max_size=30)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    first = draw(SCORES)
    second = draw(st.lists(st.integers(-4, 4).map(lambda n: n / 3), min_size=len(first), max_size=len(first)))
    return np.array(first), np.array(second)


def varied(pair: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(len(set(side)) > 1 for side in pair)


@given(pairs())
def test_kendalls_tau_and_spearmans_rho_are_scipys(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assume(varied(pair))
    assert kendall(*pair) == pytest.approx(kendalltau(*pair, variant="b").statistic, abs=1e-12)
    assert spearman(*pair) == pytest.approx(spearmanr(*pair).statistic, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7, 50])
def test_the_same_order_is_one_and_the_reverse_minus_one(n: int) -> None:
    scores = np.arange(n) ** 2.0
    for measure in (kendall, spearman):
        assert measure(scores, 3 * scores - 5) == pytest.approx(1)
        assert measure(scores, -scores) == pytest.approx(-1)


def test_one_exchange_of_neighbours_costs_two_pairs() -> None:
    # τ = 1 − 2 · 2d / (n (n − 1)) for d discordant pairs of n; ρ = 1 − 6 Σ d² / (n (n² − 1)).
    a, b = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 3, 4, 5])
    assert kendall(a, b) == pytest.approx(1 - 4 / 20)
    assert spearman(a, b) == pytest.approx(1 - 6 * 2 / (5 * 24))


def test_ties_shrink_the_denominator() -> None:
    # Pairs: (1,2) tied in a; (1,3), (2,3) in the same order: 2 / √(2 · 3).
    assert kendall(np.array([0.0, 0, 1]), np.array([1.0, 2, 3])) == pytest.approx(2 / math.sqrt(6))


@pytest.mark.parametrize("measure", [kendall, spearman, overlap, rbo])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 1.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([3.0, 3.0, 3.0], [3.0, 3.0, 3.0]),
    ],
)
def test_where_there_is_nothing_to_compare_it_is_undefined(measure, a: list[float], b: list[float]) -> None:
    assert measure(np.array(a), np.array(b)) is None


@given(pairs(), st.integers(1, 6))
def test_the_overlap_counts_shared_words(pair: tuple[np.ndarray, np.ndarray], k: int) -> None:
    a, b = (np.abs(side) for side in pair)
    assume(varied((a, b)))
    first, second = (sorted((i for i in range(len(s)) if s[i]), key=lambda i: (-s[i], i))[:k] for s in (a, b))
    expected = sum(i in second for i in first) / max(len(first), len(second))
    assert overlap(*pair, k) == expected == overlap(*pair[::-1], k)
    assert overlap(pair[0], -pair[0], k) == 1


def test_a_third_of_the_words_are_the_strongest_but_one_and_five_at_most() -> None:
    assert [strongest_count(n) for n in (0, 1, 2, 3, 5, 6, 14, 15, 200)] == [1, 1, 1, 1, 1, 2, 4, 5, 5]


def test_a_word_without_a_score_is_never_among_the_strongest() -> None:
    assert top(np.array([0.0, -3, 0, 2, np.nan]), 4) == [1, 3]
    assert overlap(np.array([5.0, 0, 0, 0]), np.array([5.0, 1, 0, 0]), 3) == 0.5


def test_ranks_go_by_size_and_ties_share_the_best() -> None:
    assert ranks(np.array([0.5, -2.0, 0.5, 0.0])).tolist() == [2, 1, 2, 4]
    ranking = ranks(np.array([1.0, np.nan, -3.0]))
    assert ranking[0] == 2 and ranking[2] == 1 and np.isnan(ranking[1])


def test_signs_count_where_both_sides_have_them() -> None:
    scores = np.array([[3.0, -2, 1], [3.0, 2, 1], [-3.0, 2, -1]])
    matrix = agreement(scores, [True, False, True], "kendall")
    assert matrix.absolute == ((False, True, False), (True, True, True), (False, True, False))
    # Rows 0 and 1 as sizes: the same order. Rows 0 and 2 as they are: reversed.
    assert matrix.values[0][1] == pytest.approx(1)
    assert matrix.values[0][2] == pytest.approx(-1)
    assert all(all(row) for row in agreement(scores, [True] * 3, "overlap").absolute)


def test_a_matrix_is_symmetric_and_compares_what_both_sides_score() -> None:
    draw = np.random.default_rng(0)
    scores = draw.normal(size=(4, 12))
    scores[1, :4] = np.nan
    scores[3] = np.nan
    for measure in MEASURES:
        matrix = agreement(scores, [True] * 4, measure)
        assert matrix.values == tuple(zip(*matrix.values, strict=True))
        assert [matrix.values[i][i] for i in range(4)] == [pytest.approx(1)] * 3 + [None]
        assert matrix.values[3] == (None,) * 4
        assert matrix.words[0] == (12, 8, 12, 0)
    tau = agreement(scores, [True] * 4, "kendall").values[0][1]
    assert tau == pytest.approx(kendalltau(scores[0, 4:], scores[1, 4:]).statistic)


@given(pairs(), st.floats(0.1, 0.95))
def test_rank_biased_overlap_is_the_sum_of_its_series(pair: tuple[np.ndarray, np.ndarray], p: float) -> None:
    """The series is (1 − p) Σ p^(d−1) A_d; from depth n on A_d = 1, so that the remainder is p^n."""
    a, b = (np.abs(side) for side in pair)
    assume(varied((a, b)))
    expected = p ** len(a)
    for d in range(1, len(a) + 1):
        first, second = ({i for i in range(len(v)) if sum(other > v[i] for other in v) < d} for v in (a, b))
        expected += (1 - p) * p ** (d - 1) * 2 * len(first & second) / (len(first) + len(second))
    assert rbo(a, b, p) == pytest.approx(expected, abs=1e-6)
    assert rbo(a, b, p) == pytest.approx(rbo(-b, a, p))


def test_rank_biased_overlap_weighs_the_first_ranks_most() -> None:
    scores = np.arange(10.0, 0, -1)
    top, bottom = scores.copy(), scores.copy()
    top[[0, 1]], bottom[[8, 9]] = top[[1, 0]], bottom[[9, 8]]
    assert rbo(scores, scores) == pytest.approx(1)
    # Only the agreement at depth 1 is lost: (1 − p) · 1, or at depth 9 one of nine words: (1 − p) p⁸ / 9.
    assert rbo(scores, top) == pytest.approx(1 - 0.2)
    assert rbo(scores, bottom) == pytest.approx(1 - 0.2 * 0.8**8 / 9)


def test_only_known_measures_and_whole_numbers() -> None:
    with pytest.raises(BadOption, match=r"no measure 'kendal'.*Did you mean 'kendall'"):
        agreement(np.ones((1, 2)), [True], "kendal")
    for k in (0, -1, 1.5, True):
        with pytest.raises(BadOption, match="k is"):
            agreement(np.ones((1, 2)), [True], "overlap", k)  # type: ignore[arg-type]
