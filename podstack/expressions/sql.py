"""From tree to SQL over the tables of the index (`index.py`), with bound parameters only.

A condition is always 0 or 1, never NULL. The alias `runs` is the row in question. A parameter has
a kind beside its value, and SQLite would compare a text with a number, so each test states kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from podstack import clock
from podstack.expressions.tree import (
    ALL_TAGS,
    ANY,
    ATTRIBUTE,
    DURATION,
    METRIC,
    PARAM,
    PARTS,
    TEXTS,
    Compare,
    Contains,
    Is,
    Junction,
    Leaf,
    Member,
    Name,
    Node,
    Not,
    Scalar,
)


class Sql(NamedTuple):
    """A piece of SQL and what is bound to its question marks, in their order."""

    text: str
    args: tuple[Scalar, ...] = ()


class Source(NamedTuple):
    """Where a name's value comes from: at most one row, with a kind and a value.

    kind is an SQL expression; where it is the same for all rows, `fixed` says it too.
    """

    table: str
    where: Sql
    kind: str
    value: str
    fixed: str = ""


_NEVER, _ALWAYS = Sql("0"), Sql("1")
_KINDS: dict[type, str] = {
    bool: "bool", int: "number", float: "number", str: "text", type(None): "none"
}  # fmt: skip


def condition(node: Node) -> Sql:
    """The tree as an SQL condition."""
    if isinstance(node, Junction):
        # The deepest part first: SQLite's parser keeps what stands before a parenthesis on a
        # stack of 100, and 20 levels of `a or b and (…)` would overflow it.
        parts = sorted(node.parts, key=_depth, reverse=True)
        return _joined(f" {node.word.upper()} ", map(condition, parts))
    if isinstance(node, Not):
        return _fill("NOT {}", condition(node.part))
    return _leaf(node)


def value(name: Name) -> Sql:
    """A scalar to order by: NULL where it is missing, none or NaN."""
    sources = _sources(name, "a")
    if len(sources) == 1 and not sources[0].table:
        return Sql(sources[0].value, sources[0].where.args)
    parts = [
        _fill(f"(SELECT {source.value} FROM {source.table or 'runs'} WHERE {{}})", source.where)
        for source in reversed(sources)  # of an experiment the name comes before the id
        if source.table
    ]
    if name.kind == ATTRIBUTE:
        return _joined(", ", [*parts, Sql("runs.experiment")], "coalesce({})")
    return parts[0] if len(parts) == 1 else _fill("coalesce({}, {})", *reversed(parts))


def _depth(node: Node) -> int:
    if isinstance(node, Junction):
        return 1 + max(map(_depth, node.parts))
    return 1 + _depth(node.part) if isinstance(node, Not) else 0


def _leaf(leaf: Leaf) -> Sql:
    name = leaf.name
    if name == ALL_TAGS:
        return _tags(leaf)
    if isinstance(leaf, Is):
        return _is(name, leaf.state)
    if isinstance(leaf, Contains):
        return _wanted(name, leaf.wanted, _any(name, lambda s: _contains(s, leaf.text)))
    if isinstance(leaf, Member):
        return _wanted(name, leaf.wanted, _any(name, lambda s: _equals(s, leaf.values)))
    if isinstance(leaf.value, Name):
        return _against_name(leaf.name, leaf.operator, leaf.value)
    return _against_literal(leaf, leaf.value)


def _against_literal(leaf: Compare, right: Scalar) -> Sql:
    if leaf.operator in ("=", "!="):
        return _wanted(
            leaf.name, leaf.operator == "=", _any(leaf.name, lambda s: _equals(s, (right,)))
        )
    return _any(leaf.name, lambda source: _ordered(source, leaf.operator, right))


def _wanted(name: Name, wanted: bool, found: Sql) -> Sql:
    """The condition, or its opposite among the runs that have a value at all."""
    return found if wanted else _fill("({} AND NOT {})", _any(name, _known), found)


def _any(name: Name, test: Callable[[Source], Sql]) -> Sql:
    """Whether the value passes the test, wherever it comes from."""
    parts = [_exists([source], test(source)) for source in _sources(name, "a")]
    return _joined(" OR ", [part for part in parts if part != _NEVER])


def _exists(sources: list[Source], test: Sql) -> Sql:
    if test == _NEVER:
        return _NEVER
    tables = ", ".join(source.table for source in sources if source.table)
    wheres = [source.where for source in sources if source.table]
    if not tables:
        args = tuple(arg for source in sources for arg in source.where.args)
        return Sql(f"ifnull({test.text}, 0)", args + test.args)
    return _fill(
        f"EXISTS (SELECT 1 FROM {tables} WHERE {{}})", _joined(" AND ", [*wheres, test], "{}")
    )


def _equals(source: Source, values: tuple[Scalar, ...]) -> Sql:
    by_kind: dict[str, list[Scalar]] = {}
    for wanted in values:
        by_kind.setdefault(_KINDS[type(wanted)], []).append(wanted)
    tests = [_equals_of_kind(source, kind, same) for kind, same in by_kind.items()]
    return _joined(" OR ", [test for test in tests if test != _NEVER])


def _equals_of_kind(source: Source, kind: str, values: list[Scalar]) -> Sql:
    if source.fixed and source.fixed != kind:
        return _NEVER
    guard = "" if source.fixed else f"{source.kind} = '{kind}'"
    if kind == "none":
        return Sql(f"({guard})")
    marks = ", ".join("?" * len(values))
    test = f"{source.value} = ?" if len(values) == 1 else f"{source.value} IN ({marks})"
    return Sql(f"({guard} AND {test})" if guard else test, tuple(values))


def _ordered(source: Source, operator: str, right: Scalar) -> Sql:
    kind = _KINDS[type(right)]
    if source.fixed and source.fixed != kind:
        return _NEVER
    guard = "" if source.fixed else f"{source.kind} = '{kind}' AND "
    return Sql(f"{guard}{source.value} {operator} ?", (right,))


def _contains(source: Source, text: str) -> Sql:
    """instr, for LIKE would read % and _ in the text; lower() changes a to z only."""
    if source.fixed and source.fixed != "text":
        return _NEVER
    guard = "" if source.fixed else f"{source.kind} = 'text' AND "
    return Sql(f"({guard}instr(lower({source.value}), ?) > 0)", (ascii_lower(text),))


def _known(source: Source) -> Sql:
    """Neither missing nor NaN."""
    kind = "" if source.fixed else f"{source.kind} = 'none' OR "
    return Sql(f"({kind}{source.value} IS NOT NULL)")


def _is(name: Name, state: str) -> Sql:
    if name.kind == ATTRIBUTE:
        return _fill("NOT {}", _any(name, lambda s: Sql(f"({s.value} <> '')")))
    if state == "missing":
        return _fill("NOT {}", _any(name, lambda source: _ALWAYS))
    return _any(name, _is_none if state == "none" else _is_nan)


def _is_none(source: Source) -> Sql:
    return _NEVER if source.fixed else Sql(f"{source.kind} = 'none'")


def _is_nan(source: Source) -> Sql:
    if source.fixed:
        return Sql(f"{source.value} IS NULL")
    return Sql(
        f"(({source.kind} = 'number' AND {source.value} IS NULL)"
        f" OR ({source.kind} = 'text' AND {source.value} = 'NaN'))"
    )


def _against_name(left: Name, operator: str, right: Name) -> Sql:
    def found(operator: str) -> Sql:
        pairs = [(a, b) for a in _sources(left, "a") for b in _sources(right, "b")]
        return _joined(" OR ", [_exists([a, b], _pair(a, operator, b)) for a, b in pairs])

    if operator == "!=":
        return _fill("({} AND {} AND NOT {})", _any(left, _known), _any(right, _known), found("="))
    return found(operator)


def _pair(left: Source, operator: str, right: Source) -> Sql:
    test = f"{left.value} {operator} {right.value}"
    if left.fixed and right.fixed:
        return Sql(test) if left.fixed == right.fixed else _NEVER
    if operator == "=":
        test = f"({test} OR {left.kind} = 'none')"
    else:
        test = f"({test} AND {left.kind} IN ('number', 'text'))"
    return Sql(f"({left.kind} = {right.kind} AND {test})")


def _tags(leaf: Leaf) -> Sql:
    having = "EXISTS (SELECT 1 FROM tags AS t WHERE t.run = runs.number"
    if isinstance(leaf, Contains):
        found, wanted = Sql(f"{having} AND t.tag = ?)", (leaf.text,)), leaf.wanted
    elif isinstance(leaf, Member):
        marks = ", ".join("?" * len(leaf.values))
        found, wanted = Sql(f"{having} AND t.tag IN ({marks}))", leaf.values), leaf.wanted
    else:
        found, wanted = Sql(f"{having})"), False
    return found if wanted else _fill("NOT {}", found)


def _sources(name: Name, alias: str) -> list[Source]:
    if name.kind == METRIC:
        return [_metric(name, alias)]
    if name.kind == PARAM:
        return [_param(name, alias)]
    if name.kind == ANY:
        return [_metric(name, alias), *_param_unless_metric(name, alias)]
    if name.name == "experiment":
        return [_attribute(name), _experiment(alias)]
    return [_attribute(name)]


def _metric(name: Name, alias: str) -> Source:
    where = Sql(f"{alias}.run = runs.number AND {alias}.name = ?", (name.name,))
    return Source(f"metrics AS {alias}", where, "'number'", f"{alias}.{_part(name)}", "number")


def _part(name: Name) -> str:
    assert name.part in ("", *PARTS), name.part  # the one name that is not bound
    return f'"{name.part or "last"}"'


def _param(name: Name, alias: str) -> Source:
    where = Sql(f"{alias}.run = runs.number AND {alias}.name = ?", (name.name,))
    kind = f"replace({alias}.kind, 'json', 'text')"
    return Source(f"params AS {alias}", where, kind, f"{alias}.value")


def _param_unless_metric(name: Name, alias: str) -> list[Source]:
    if name.part:
        return []  # only a metric has parts
    param = _param(name, alias)
    no_metric = Sql(
        " AND NOT EXISTS (SELECT 1 FROM metrics AS m WHERE m.run = runs.number AND m.name = ?)",
        (name.name,),
    )
    return [param._replace(where=_fill("{}{}", param.where, no_metric))]


def _attribute(name: Name) -> Source:
    kind = "text" if name.name in TEXTS else "number"
    if name.name != DURATION:
        return Source("", Sql(""), f"'{kind}'", f"runs.{name.name}", kind)
    # A run that is lost ended when it was last heard of; one that runs has lasted until now.
    until = f"coalesce(runs.ended, runs.lost_since, {clock.now()!r})"
    return Source("", Sql(""), f"'{kind}'", f"max(0.0, {until} - runs.created)", kind)


def _experiment(alias: str) -> Source:
    """An experiment is called by its name as well as by its id."""
    where = f"{alias}.project = runs.project AND {alias}.id = runs.experiment"
    return Source(f"experiments AS {alias}", Sql(where), "'text'", f"{alias}.name", "text")


def _fill(template: str, *parts: Sql) -> Sql:
    text = template.format(*[part.text for part in parts])
    return Sql(text, tuple(arg for part in parts for arg in part.args))


def _joined(word: str, parts: Iterable[Sql], around: str = "({})") -> Sql:
    parts = list(parts)
    if not parts:
        return _NEVER
    if len(parts) == 1 and around == "({})":
        return parts[0]
    text = around.format(word.join(part.text for part in parts))
    return Sql(text, tuple(arg for part in parts for arg in part.args))


def ascii_lower(text: str) -> str:
    """a to z only, which is what SQLite's lower() does."""
    return text.encode().lower().decode()
