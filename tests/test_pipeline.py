"""The training batches: order, resuming, sharding, fragment choice."""

import functools
import itertools
from typing import Any

import jax
import numpy as np
import pytest

from voxgan_jax.data import builder, feed, fragments, pipeline


@pytest.fixture(scope="module")
def source(prepared_dir):
    return builder.open_prepared(prepared_dir, resolution=32)


def _take(source, count, *, batch_size=5, keep_last=True, parts=1, num_shards=1, **changes):
    plan = feed.plan_epoch(
        builder.num_examples(source, "train"),
        batch_size,
        keep_last=keep_last,
        parts=parts,
        num_shards=num_shards,
    )
    options: dict[str, Any] = {"batch_size": batch_size, "seed": 7, "num_shards": num_shards}
    options |= changes
    return list(itertools.islice(pipeline.train_batches(source, "train", plan, **options), count))


def _same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a["labels"], b["labels"])
        np.testing.assert_array_equal(a["given"], b["given"])


@pytest.mark.parametrize(
    ("examples", "batch_size", "keep_last", "parts", "num_shards", "expected"),
    [
        (11264, 64, True, 1, 1, (176, 11264)),
        (16, 5, True, 1, 1, (4, 16)),
        (16, 5, False, 1, 1, (3, 15)),
        (3, 5, True, 1, 1, (1, 3)),
        (20, 8, True, 4, 1, (3, 20)),
        (17, 8, False, 4, 1, (2, 16)),
        # 5 of each of 4 shards: 2 batches of 2 rows each, and 1 row each.
        (23, 8, True, 2, 4, (3, 20)),
        (23, 8, False, 2, 4, (2, 16)),
        # 10 of each of 2 shards, 4 a batch; 2 are left of each.
        (21, 8, True, 4, 2, (3, 20)),
    ],
)
def test_plan(examples, batch_size, keep_last, parts, num_shards, expected):
    plan = feed.plan_epoch(
        examples, batch_size, keep_last=keep_last, parts=parts, num_shards=num_shards
    )
    assert tuple(plan) == expected


def test_plan_errors():
    with pytest.raises(ValueError, match="nearest that do are 8 and 12"):
        feed.plan_epoch(100, 10, keep_last=True, parts=4)
    with pytest.raises(ValueError, match="3 examples are fewer than one batch of 5"):
        feed.plan_epoch(3, 5, keep_last=False)
    # The devices must not decide which examples are seen.
    with pytest.raises(ValueError, match="short batch at the end of an epoch, of 6 examples"):
        feed.plan_epoch(22, 8, keep_last=True, parts=4)
    for counts in ((0, 1, 1), (8, 0, 1), (8, 1, 0)):
        with pytest.raises(ValueError, match="at least 1 is needed"):
            feed.check_batch_size(*counts)


def test_every_example_once_an_epoch_in_another_order(source):
    first, second = _take(source, 8)[:4], _take(source, 8)[4:]
    assert [len(batch["labels"]) for batch in first] == [5, 5, 5, 1]

    def prints(batches):
        return [labels.tobytes() for batch in batches for labels in batch["labels"]]

    assert sorted(prints(first)) == sorted(prints(second))
    assert len(set(prints(first))) == 16
    assert prints(first) != prints(second)


def test_deterministic_and_seeded(source):
    _same(_take(source, 6), _take(source, 6))
    other = _take(source, 6, seed=8)
    assert any(
        (a["given"] != b["given"]).any() for a, b in zip(_take(source, 6), other, strict=True)
    )


@pytest.mark.parametrize("step", [1, 3, 4, 6, 9])
@pytest.mark.parametrize("cache", [True, False])
def test_resumed_run_sees_the_batches_it_would_have_seen(source, step, cache):
    whole = _take(source, 11)
    _same(_take(source, 11 - step, start_step=step, cache=cache), whole[step:])


def test_small_shuffle_buffer_still_gives_every_example(source):
    batches = _take(source, 4, shuffle_buffer=3)
    assert len({labels.tobytes() for batch in batches for labels in batch["labels"]}) == 16


@pytest.mark.parametrize(("start_step", "count"), [(0, 4), (4, 2)])
def test_processes_together_have_the_batches_of_one(source, start_step, count):
    """16 examples in 4 shards, of which a batch of 12 and a short one of 4 take equal numbers."""
    options = {"batch_size": 12, "num_shards": 4, "parts": 4, "start_step": start_step}
    whole = _take(source, 6, **options)
    assert [len(batch["labels"]) for batch in whole] == [12, 4] * 3
    parts = [
        _take(source, 6, process_index=i, process_count=count, **options) for i in range(count)
    ]
    joined = [
        {name: np.concatenate([batch[name] for batch in group]) for name in ("labels", "given")}
        for group in zip(*parts, strict=True)
    ]
    _same(joined, whole)


def test_a_shard_has_its_own_examples_in_its_own_order(source):
    everything = [
        example["labels"].tobytes()
        for example in builder.as_dataset(source, "train").as_numpy_iterator()
    ]
    orders = []
    for shard in range(2):
        batches = _take(source, 2, batch_size=8, num_shards=2, process_index=shard, process_count=2)
        seen = [labels.tobytes() for batch in batches for labels in batch["labels"]]
        assert sorted(seen) == sorted(everything[shard::2])
        orders.append([everything[shard::2].index(one) for one in seen])
    assert orders[0] != orders[1]


def test_shards_of_unequal_size_leave_another_example_out_every_epoch(source):
    """16 = 6 + 5 + 5: the first shard gives 5 of its 6 examples."""
    epochs = _take(source, 6, batch_size=15, num_shards=3)
    seen = [{labels.tobytes() for labels in batch["labels"]} for batch in epochs]
    assert [len(one) for one in seen] == [15] * 6
    assert len(set.union(*seen)) == 16


def test_shards_must_divide(source):
    with pytest.raises(ValueError, match=r"num_shards 1 does not divide among 2 proc.*=2 or a mul"):
        _take(source, 1, batch_size=4, process_count=2)
    with pytest.raises(ValueError, match=r"among 3 shards \(config\.data\.num_shards\);.* 3 and 6"):
        _take(source, 1, batch_size=4, num_shards=3)


def test_given_is_one_fragment_of_the_sample_and_changes_with_the_epoch(source):
    batches = _take(source, 8)
    choices = {}
    for epoch, batch in ((i // 4, batch) for i, batch in enumerate(batches)):
        assert batch["labels"].dtype == np.uint8
        assert batch["given"].sum(axis=1).tolist() == [1] * len(batch["labels"])
        for labels, given in zip(batch["labels"], batch["given"], strict=True):
            chosen = int(given.argmax())
            assert chosen in fragments.fragment_ids(labels)
            choices.setdefault(labels.tobytes(), {})[epoch] = chosen
    assert sum(choice[0] != choice[1] for choice in choices.values()) >= 5


def test_all_but_one(source):
    choose = functools.partial(fragments.choose, mode="all_but_k")
    for batch in _take(source, 3, choose=choose):
        for labels, given in zip(batch["labels"], batch["given"], strict=True):
            assert given.sum() == len(fragments.fragment_ids(labels)) - 1


def test_prefetch_keeps_order_and_loses_nothing():
    batches = [{"labels": np.full((2, 1), i, np.uint8)} for i in range(5)]
    out = list(pipeline.prefetch_to_device(batches))
    assert [int(batch["labels"][0, 0]) for batch in out] == list(range(5))
    assert isinstance(out[0]["labels"], jax.Array)
