"""The fold does not depend on the order in which ops are read, nor on how often."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from podstack import oplog
from podstack.oplog import NONE, Fold, Op

relaxed = settings(deadline=None, max_examples=100)

paths = st.sampled_from(["name", "params/lr", "params/a/b", 'tags/"x"', "tags/ü", "deleted"])
json_values = st.sampled_from(
    [None, NONE, True, False, 0, -1, 2**63, 0.5, "", "ü", [], [None, 1], {}, {"a": None}]
)
stamps = st.integers(0, 5).map(lambda n: f"{n:016x}")  # few, so that they collide
# A log writer never gives out one stamp twice; a damaged store may, and must still fold one way.
ops = st.lists(
    st.builds(Op, stamps, st.sampled_from("abc"), st.dictionaries(paths, json_values, max_size=3)),
    max_size=12,
)


@relaxed
@given(ops, st.randoms())
def test_the_order_of_ops_does_not_matter(found: list[Op], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random

    assert Fold(shuffled) == Fold(found)
    assert Fold(shuffled).stamp == Fold(found).stamp
    assert Fold(shuffled).first == Fold(found).first


@relaxed
@given(ops, st.data())
def test_an_op_that_is_read_again_changes_nothing(found: list[Op], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(found), max_size=8)) if found else []

    assert Fold(found + again) == Fold(found)


@relaxed
@given(ops, ops, ops)
def test_merge_is_commutative_associative_and_idempotent(
    a: list[Op], b: list[Op], c: list[Op]
) -> None:
    one, two, three = Fold(a), Fold(b), Fold(c)

    assert one.merge(two) == two.merge(one)
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(one) == one
    assert one.merge(Fold()) == one
    assert one.merge(two) == Fold(a + b)
    assert one.merge(two).first == Fold(a + b).first
    assert one.merge(two).stamp == Fold(a + b).stamp


@relaxed
@given(ops)
def test_each_path_has_the_value_of_its_largest_stamp_and_writer(found: list[Op]) -> None:
    fold = Fold(found)
    for path in {path for op in found for path in op.changes}:
        setting = [op for op in found if path in op.changes]
        rank = max((op.stamp, op.writer) for op in setting)
        candidates = [op.changes[path] for op in setting if (op.stamp, op.writer) == rank]
        candidates = [None if value == NONE else value for value in candidates]

        assert fold.get(path) in candidates


@relaxed
@given(ops)
def test_history_holds_every_value_once_oldest_first(found: list[Op]) -> None:
    for path in {path for op in found for path in op.changes}:
        history = oplog.history(found + found, path)
        setting = {
            (op.stamp, op.writer, orjson.dumps(op.changes[path], option=orjson.OPT_SORT_KEYS))
            for op in found
            if path in op.changes
        }

        assert len(history) == len(setting)
        assert [change[:2] for change in history] == sorted(change[:2] for change in history)
        assert Fold(found).get(path) == history[-1].value


@relaxed
@given(st.lists(st.dictionaries(paths, json_values, max_size=3), max_size=6))
def test_what_is_encoded_is_decoded(changes: list[dict[str, object]]) -> None:
    stamped = [(f"{i:016x}", change) for i, change in enumerate(changes)]
    data = b"".join(oplog.encode(stamp, change) for stamp, change in stamped)
    found, damaged = oplog.decode(data, "w")

    assert damaged == 0
    assert found == [Op(stamp, "w", orjson.loads(orjson.dumps(c))) for stamp, c in stamped]


def test_a_later_null_deletes_and_a_later_value_brings_back() -> None:
    log = [Op("1", "w", {"tags/a": True}), Op("2", "w", {"tags/a": None})]

    assert Fold(log).get("tags/a") is None
    assert Fold(log).change("tags/a") is None
    assert Fold(log).below("tags") == {}
    assert Fold([*log, Op("3", "w", {"tags/a": 5})]).below("tags") == {"a": 5}


def test_an_earlier_null_does_not_delete() -> None:
    assert Fold([Op("2", "w", {"x": 1}), Op("1", "w", {"x": None})]).get("x") == 1


def test_a_stored_none_is_a_value() -> None:
    fold = Fold([Op("1", "w", {"params/seed": oplog.stored(None), "params/lr": oplog.stored(1)})])

    assert fold.below("params") == {"seed": None, "lr": 1}
    assert fold.change("params/seed") is not None


def test_at_one_stamp_the_larger_writer_wins() -> None:
    assert Fold([Op("1", "b", {"x": "b"}), Op("1", "a", {"x": "a"})]).get("x") == "b"


def test_below_takes_a_field_and_no_other_that_begins_like_it() -> None:
    fold = Fold([Op("1", "w", {"params/a": 1, "params2/b": 2, "params": 3, "params/c/d": 4})])

    assert fold.below("params") == {"a": 1, "c/d": 4}


def test_lines_that_are_no_ops_cost_only_themselves() -> None:
    good = oplog.encode("1", {"x": 1})
    junk = [b"\xff\xfe", b"{", b"", b"\0\0\0"]
    later = [b"[1]", b"{}", b'{"h":1,"set":{}}', b'{"h":"2","set":[]}', b'{"h":"2","add":{}}', b"7"]
    data = b"\n".join([good[:-1], *junk, *later, good])

    found, damaged = oplog.decode(data, "w")
    assert found == [Op("1", "w", {"x": 1})] * 2
    assert damaged == len(junk)


def test_unknown_fields_of_a_line_are_ignored() -> None:
    found, damaged = oplog.decode(b'{"h":"1","c":"?","set":{"x":1},"new":[]}\n', "w")

    assert (found, damaged) == ([Op("1", "w", {"x": 1})], 0)


def test_a_log_cut_at_any_byte_holds_exactly_its_whole_lines() -> None:
    lines = [oplog.encode(f"{i:016x}", {f"params/ü{i}": "x" * i}) for i in range(6)]
    data = b"".join(lines)
    for cut in range(len(data) + 1):
        found, damaged = oplog.decode(data[:cut], "w")

        assert damaged == 0
        assert len(found) == data[:cut].count(b"\n")


def test_every_flipped_bit_in_a_line_is_found_or_changes_no_fact() -> None:
    line = oplog.encode("01a20ae1589b0000", {"params/lr": 0.001, "tags/ü": True, "notes": None})
    (whole,), _ = oplog.decode(line, "w")
    found_out = 0
    for bit in range(8 * (len(line) - 1)):  # without its newline it is no whole line
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        ops, damaged = oplog.decode(bytes(flipped), "w")
        found_out += bool(damaged)

        assert damaged or ops == [whole]
    assert found_out > 8 * (len(line) - 1) * 0.8  # the rest fell on the checksum itself


def test_a_line_without_a_checksum_is_taken_as_it_is() -> None:
    assert oplog.decode(b'{"h":"1","set":{"x":1}}\n', "w") == ([Op("1", "w", {"x": 1})], 0)
