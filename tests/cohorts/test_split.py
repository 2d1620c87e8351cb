"""Splits: exact sizes, stratified parts, nested tiers, the same on every machine."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cohorts.base import Record
from benchmark.cohorts.split import Split, make_split, subset
from benchmark.errors import UserError

# A cohort of the paper's size with uneven categories; no category divides evenly into 419 : 257.
SIZES = {0: 251, 1: 53, 2: 119, 3: 146, 4: 107}


def cohort(sizes=None):
    sizes = SIZES if sizes is None else sizes
    return tuple(
        Record(f"p{risk}-{number:04d}", "centre", float(risk), risk)
        for risk, count in sizes.items()
        for number in range(count)
    )


def categories(ids):
    return Counter(int(id[1]) for id in ids)


def test_paper_sizes_are_exact_and_every_category_is_proportional():
    records = cohort()
    split = make_split(records, (419, 257), seed=7)
    assert (len(split.train), len(split.test)) == (419, 257)
    assert set(split.train) | set(split.test) == {record.id for record in records}
    for risk, count in SIZES.items():
        assert abs(categories(split.train)[risk] - count * 419 / 676) < 1
        assert abs(categories(split.test)[risk] - count * 257 / 676) < 1


def test_largest_remainders_worked_by_hand():
    # 5, 3 and 2 patients, half of them train: 2.5, 1.5 and 1. Whole parts take 2 + 1 + 1 = 4; the
    # fifth place goes to one of the equal remainders of 1/2, the lower category.
    split = make_split(cohort({0: 5, 1: 3, 2: 2}), 0.5)
    assert categories(split.train) == {0: 3, 1: 1, 2: 1}
    assert categories(split.test) == {0: 2, 1: 2, 2: 1}


def test_order_of_the_records_does_not_matter():
    records = cohort()
    assert make_split(records, 0.6, seed=1) == make_split(records[::-1], 0.6, seed=1)


def test_split_is_the_same_on_every_machine():
    # From `for id in a b c d e f; do printf 3:$id | sha256sum; done`: a 3d95..., e 60e5...,
    # b 952a..., c ba86..., d c0de..., f eaa6..., in this order; the last one is left out.
    records = [Record(id, "centre", 0.0, 0) for id in "abcdef"]
    split = make_split(records, (2, 3), seed=3)
    assert split.train == ("a", "e")
    assert split.test == ("b", "c", "d")
    assert split.hash == "2f2733c6c5b77780"


def test_another_seed_gives_another_split():
    assert set(make_split(cohort(), 0.5, 0).train) != set(make_split(cohort(), 0.5, 1).train)


def test_hash_follows_members_and_seed_but_not_their_order():
    split = Split(("a", "b"), ("c",), 0)
    assert split.hash == Split(("b", "a"), ("c",), 0).hash
    assert len(split.hash) == 16
    others = [Split(("a", "b"), ("d",), 0), Split(("a", "b"), ("c",), 1), Split(("a",), ("c",), 0)]
    assert split.hash not in {other.hash for other in others}


def test_fewer_than_all_leaves_a_stratified_rest():
    split = make_split(cohort(), (100, 50))
    assert (len(split.train), len(split.test)) == (100, 50)
    for risk, count in SIZES.items():
        assert abs(categories(split.train)[risk] - count * 100 / 676) <= 1.5
        assert abs(categories(split.test)[risk] - count * 50 / 676) <= 1.5


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    share=st.floats(0.2, 0.8),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_tiers_are_nested(sizes, share, seed, data):
    records = cohort({risk: size + 2 for risk, size in enumerate(sizes)})
    split = make_split(records, share, seed)
    large = data.draw(st.integers(1, len(split.train)))
    small = data.draw(st.integers(1, large))
    big, little = subset(split, records, large), subset(split, records, small, 1)
    assert len(big.train) == large
    assert len(little.train) == small
    assert set(little.train) <= set(big.train) <= set(split.train)
    assert set(little.test) <= set(big.test) == set(split.test)


def test_tiers_of_the_paper_cohort_keep_the_category_shares():
    records = cohort()
    split = make_split(records, (419, 257))
    whole = categories(split.train)
    for n in (20, 60, 100, 200, 300):
        part = categories(subset(split, records, n).train)
        for risk in SIZES:
            assert abs(part[risk] - whole[risk] * n / 419) < 1


def test_subset_of_everything_is_everything():
    records = cohort()
    split = make_split(records, 0.6)
    assert subset(split, records).hash == split.hash


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((600, 100), "600 .* 100 .* 676"),
        ((0, 10), "part empty"),
        ((10, -1), "part empty"),
        (1.0, "part empty"),
        (0.0, "part empty"),
    ],
)
def test_impossible_sizes_are_refused(size, words):
    with pytest.raises(UserError, match=words):
        make_split(cohort(), size)


def test_tier_larger_than_the_part_is_refused():
    records = cohort()
    split = make_split(records, (100, 50))
    with pytest.raises(UserError, match="101 training scans asked for"):
        subset(split, records, n_train=101)
    with pytest.raises(UserError, match="0 test scans asked for"):
        subset(split, records, n_test=0)


def test_patient_in_both_parts_is_refused_by_name():
    with pytest.raises(UserError, match="b would both train and test"):
        Split(("a", "b"), ("b", "c"), 0)


def test_duplicates_are_refused_by_name():
    record = Record("p7", "centre", 0.0, 0)
    with pytest.raises(UserError, match="p7 occurs more than once"):
        make_split([record, record, Record("p8", "centre", 0.0, 0)], 0.5)
    with pytest.raises(UserError, match="a occurs more than once"):
        Split(("a", "a"), ("b",), 0)


def test_split_of_another_cohort_is_refused():
    records = cohort()
    split = make_split(records, 0.5)
    with pytest.raises(UserError, match="not in the cohort"):
        subset(split, cohort({0: 3}), 2, 1)
