"""The search space: data in, data out, and what a configuration means in it."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import numpy as np
import optuna
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from sllmbo_magic.errors import InputError
from sllmbo_magic.space.outer_space import outer_of
from sllmbo_magic.space.search_space import Condition
from sllmbo_magic.space.search_space import SearchSpace
from sllmbo_magic.space.space_version import SpaceVersion

NAN, INF = float("nan"), float("inf")
quick = settings(max_examples=60, deadline=None, derandomize=True)

# --- strategies -----------------------------------------------------------------------------------------

plain_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=8),
)
junk = st.recursive(
    st.one_of(plain_values, st.floats(), st.integers(), st.text(max_size=20), st.just(10**400)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def distributions(draw: st.DrawFn) -> BaseDistribution:
    kind = draw(
        st.sampled_from(["float", "log float", "step float", "int", "log int", "step int", "choices"])
    )
    if kind == "choices":
        return CategoricalDistribution(
            draw(st.lists(plain_values, min_size=1, max_size=5, unique_by=repr).map(_unique))
        )
    if kind == "float":
        low = draw(st.floats(-1e6, 1e6))
        return FloatDistribution(low, low + draw(st.floats(0.0, 1e6)))
    if kind == "log float":
        low = draw(st.floats(1e-12, 1e3))
        return FloatDistribution(low, low * draw(st.floats(1.0, 1e9)), log=True)
    if kind == "step float":
        step = draw(st.sampled_from([0.05, 0.1, 0.25, 2.0]))
        first, count = draw(st.integers(-20, 20)), draw(st.integers(0, 40))
        return FloatDistribution(round(first * step, 6), round((first + count) * step, 6), step=step)
    if kind == "int":
        low = draw(st.integers(-100, 1000))
        return IntDistribution(low, low + draw(st.integers(0, 3000)))
    if kind == "log int":
        low = draw(st.integers(1, 100))
        return IntDistribution(low, low + draw(st.integers(0, 100_000)), log=True)
    low, step = draw(st.integers(-10, 10)), draw(st.integers(2, 7))
    return IntDistribution(low, low + step * draw(st.integers(0, 30)), step=step)


def _unique(values: list[Any]) -> list[Any]:
    """Without values that Optuna holds for equal (1 and 1.0, True and 1)."""
    kept: list[Any] = []
    for value in values:
        if not any(value == other for other in kept):
            kept.append(value)
    return kept


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    found = draw(st.dictionaries(st.sampled_from("abcdefgh"), distributions(), min_size=1, max_size=5))
    conditions = []
    parents = [n for n, d in found.items() if isinstance(d, CategoricalDistribution)]
    names = list(found)
    for name in names:
        earlier = [p for p in parents if p < name]
        if earlier and draw(st.booleans()):
            parent = draw(st.sampled_from(earlier))
            choices = found[parent].choices  # type: ignore[attr-defined]
            conditions.append(Condition(name, parent, tuple(choices[: draw(st.integers(1, len(choices)))])))
    fixed = draw(st.dictionaries(st.sampled_from(["y", "z"]), plain_values, max_size=2))
    return SearchSpace(found, conditions=conditions, fixed=fixed)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


SPACE = SearchSpace.from_user(
    {
        "learning_rate": (0.001, 0.3, "log"),
        "n_estimators": (50, 500),
        "kernel": ["rbf", "poly", None],
        "degree": {"type": "int", "low": 2, "high": 5, "when": {"param": "kernel", "in": ["poly"]}},
        "subsample": {"type": "float", "low": 0.5, "high": 1.0, "step": 0.1},
        "flag": [True, False],
        "max_iter": 1000,
    }
)
GOOD = {"learning_rate": 0.1, "n_estimators": 100, "kernel": "rbf", "subsample": 0.8, "flag": True}

# --- data -----------------------------------------------------------------------------------------------


@quick
@given(spaces())
def test_a_space_survives_json(space: SearchSpace) -> None:
    assert SearchSpace.from_json(through_json(space.to_json())) == space
    version = SpaceVersion(3, 17, space, "bounds were hit", "llm")
    assert SpaceVersion.from_json(through_json(version.to_json())) == version


@quick
@given(spaces(), st.integers(0, 2**32 - 1))
def test_sampled_configurations_are_valid_and_survive_every_form(space: SearchSpace, seed: int) -> None:
    params = space.sample(np.random.default_rng(seed))
    assert space.validate(params, repair=False) == (params, [])
    assert space.validate(through_json(params)) == (params, [])
    assert space.clip(params) == params
    unit = space.to_unit(params)
    assert unit.shape == (len(space),)
    assert ((unit >= 0) & (unit <= 1)).all()
    back = space.from_unit(unit)
    assert list(back) == list(params)
    for name, value in params.items():
        if isinstance(space[name], FloatDistribution):
            low, high = space[name].low, space[name].high  # type: ignore[attr-defined]
            assert back[name] == pytest.approx(value, rel=1e-9, abs=1e-9 * (high - low))
        else:
            assert back[name] == value
            assert type(back[name]) is type(value)
    assert space.key(back) == space.key(params)
    assert {*space.complete(params)} == {*space}


@quick
@given(spaces(), st.integers(0, 2**32 - 1))
def test_the_schema_accepts_exactly_whole_configurations(space: SearchSpace, seed: int) -> None:
    params = space.sample(np.random.default_rng(seed))
    whole = {name: params.get(name) for name in space}
    for bounds in (False, True):
        jsonschema.validate(through_json(whole), space.configuration_schema(bounds=bounds))
    schema = space.configuration_schema()
    assert schema["required"] == list(space)
    assert schema["additionalProperties"] is False
    whole.popitem()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(through_json(whole), schema)


def test_the_schema_is_one_that_both_strict_modes_take() -> None:
    transform = pytest.importorskip("anthropic").transform_schema
    schema = SPACE.configuration_schema()
    properties = transform(schema)["properties"]
    assert properties["degree"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert "only when kernel is 'poly'" in properties["degree"]["description"]
    assert properties["kernel"]["enum"] == ["rbf", "poly", None]
    for one in schema[
        "properties"
    ].values():  # OpenAI: every property has a type, numeric bounds only if asked for
        assert "type" in one or all("type" in variant for variant in one["anyOf"])
        assert "minimum" not in json.dumps(one)
    assert SPACE.configuration_schema(bounds=True)["properties"]["learning_rate"]["maximum"] == 0.3


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.one_of(
        junk,
        st.fixed_dictionaries({"params": junk}),
        st.fixed_dictionaries(
            {
                "params": st.lists(
                    st.fixed_dictionaries(
                        {"name": st.one_of(st.sampled_from(["a", "b"]), junk)},
                        optional={
                            "type": st.one_of(st.sampled_from(["int", "float", "categorical"]), junk),
                            "low": junk,
                            "high": junk,
                            "log": junk,
                            "step": junk,
                            "choices": junk,
                            "fixed": junk,
                            "when": st.one_of(
                                junk,
                                st.fixed_dictionaries(
                                    {"param": st.sampled_from(["a", "b", "c"]), "in": junk}
                                ),
                            ),
                        },
                    ),
                    max_size=4,
                )
            }
        ),
    )
)
def test_any_data_gives_a_space_or_one_short_error(data: Any) -> None:
    space = None
    try:
        space = SearchSpace.from_json(data)
    except InputError as error:
        length = len(str(error))
    if space is None:
        assert length < 2500
    else:
        assert SearchSpace.from_json(space.to_json()) == space
        space.sample(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"low": NAN, "high": 1}, "low is nan"),
        ({"low": 0, "high": INF}, "high is inf"),
        ({"low": "0", "high": 1}, "low is '0', not a finite number"),
        ({"low": 2, "high": 1}, "low 2 is not below high 1"),
        ({"low": 0, "high": 1, "log": True}, "log scale needs low above 0"),
        ({"low": 0.1, "high": 1, "log": "yes"}, "log is 'yes'"),
        ({"low": 0.1, "high": 1, "log": True, "step": 0.1}, "exclude each other"),
        ({"low": 0, "high": 1, "step": 0.3}, "step 0.3 does not divide 0 to 1"),
        ({"low": 0, "high": 1, "step": -1}, "step -1 is not above 0"),
        ({"type": "int", "low": 0.5, "high": 3}, "low is 0.5, not a whole number"),
        ({"type": "int", "low": 0, "high": 10**400}, "high is a huge integer"),
        ({"low": True, "high": 3}, "low is True"),
        ({"type": "double", "low": 1, "high": 3}, "allowed: float, int, categorical"),
        ({"type": "categorical", "choices": []}, "at least one choice"),
        ({"type": "categorical", "choices": "abc"}, "needs a list"),
        ({"type": "categorical", "choices": [1, 1.0]}, "occurs twice"),
        ({"type": "categorical", "choices": [[1, 2]]}, "a list cannot be a choice"),
        ({"type": "categorical", "choices": ["x" * 1_000_000]}, "cannot be a choice"),
        ({"type": "categorical", "choices": list(range(5000))}, "5000 choices"),
        ({"low": 0, "high": 1, "when": {"param": "nobody", "in": [1]}}, "'nobody', which is no parameter"),
        ({"low": 0, "high": 1, "when": {"param": "p", "in": [1]}}, "depends on itself"),
        ({"low": 0, "high": 1, "when": "always"}, "when needs"),
        ({"fixed": {"a": 1}}, "cannot be fixed at a dict"),
        ({}, "low is None"),
    ],
)
def test_each_kind_of_bad_entry_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        SearchSpace.from_json({"params": [{"name": "p", **entry}]})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_all_problems_come_in_one_bounded_message() -> None:
    entries: list[Any] = [{"name": "x" * 1_000_000, "low": 0, "high": 1}, {"name": "a\u202eb"}, None]
    entries += [{"name": f"p{i}", "low": 1, "high": 0} for i in range(20)]
    entries += [{"name": "twice", "low": 0, "high": 1}] * 2
    with pytest.raises(InputError) as caught:
        SearchSpace.from_json({"params": entries})
    text = str(caught.value)
    assert "24 problems" in text
    assert "'p0': low 1 is not below high 0" in text
    assert "and 16 more" in text
    assert "'p9'" not in text
    assert len(text) < 1500
    with pytest.raises(InputError, match="5000 parameters; allowed: at most 500"):
        SearchSpace.from_json([{"name": f"p{i}", "low": 0, "high": 1} for i in range(5000)])
    with pytest.raises(InputError, match="needs"):
        SearchSpace.from_json("x" * 1_000_000)
    with pytest.raises(InputError, match="a huge integer"):  # too long even for Python to print
        SearchSpace.from_json([{"name": "a", "low": 10**5000, "high": 1}])


def test_a_chain_of_doubled_conditions_is_no_trap() -> None:
    """Walked naively, each level would be visited twice as often as the one before."""
    entries: list[dict[str, Any]] = [{"name": "p0", "type": "categorical", "choices": [0, 1]}]
    for i in range(1, 400):
        whens = [{"param": f"p{i - 1}", "in": [0]}, {"param": f"p{i - 1}", "in": [0, 1]}]
        entries.append({"name": f"p{i}", "type": "categorical", "choices": [0, 1], "when": whens})
    space = SearchSpace.from_json(list(reversed(entries)))
    assert next(iter(space)) == "p0"
    assert len(space.clip(dict.fromkeys(space, 0))) == 400
    assert len(space.clip({**dict.fromkeys(space, 0), "p7": 1})) == 8


def test_a_user_can_write_a_space_in_short_forms() -> None:
    assert SPACE["n_estimators"] == IntDistribution(50, 500)
    assert SPACE["learning_rate"] == FloatDistribution(0.001, 0.3, log=True)
    assert SPACE["kernel"] == CategoricalDistribution(["rbf", "poly", None])
    assert SPACE.fixed == {"max_iter": 1000}
    assert SPACE.conditions == (Condition("degree", "kernel", ("poly",)),)
    assert SearchSpace.from_user({"x": (np.int64(1), np.int64(3)), "y": (0, 1.0)}) == SearchSpace(
        {"x": IntDistribution(1, 3), "y": FloatDistribution(0, 1)}
    )
    assert SearchSpace.from_user(SPACE.to_json()) == SPACE
    assert SearchSpace.from_user(SPACE) is SPACE


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"x": (1, 2, 3, 4)}, "choices are a list"),
        ({"x": (1, 2, "linear")}, "the scale 'linear' is not known"),
        ({"x": ("a", "b")}, "choices are a list: write ['a', 'b']"),
        ({"x": (3, 1)}, "low 3 is not below high 1"),
        ({1: (0, 1)}, "the name 1 is not text"),
        ({"x": np.zeros((2, 2))}, "an array of 2 dimensions; write a list"),
        ([1, 2], "needs a dict of parameters"),
    ],
)
def test_a_users_mistake_is_named(given: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        SearchSpace.from_user(given)
    assert says in str(caught.value)


# --- one configuration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("learning_rate", "0.05", 0.05),
        ("learning_rate", " 1e-2 ", 0.01),
        ("learning_rate", 0.3 + 1e-12, 0.3),
        ("learning_rate", 0.001 - 1e-14, 0.001),
        ("n_estimators", 120.0, 120),
        ("n_estimators", "120", 120),
        ("subsample", 0.83, 0.8),
        ("kernel", "RBF", "rbf"),
        ("kernel", "None", None),
        ("flag", "false", False),
    ],
)
def test_what_has_one_meaning_is_repaired(name: str, value: object, meant: object) -> None:
    given = {**GOOD, name: value}
    checked, problems = SPACE.validate(given)
    assert problems == []
    assert checked is not None
    assert checked[name] == meant
    assert type(checked[name]) is type(meant)
    assert SPACE.validate(given, repair=False)[0] is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", 0.31, "learning_rate: 0.31 is out of range; allowed: 0.001 to 0.3, log scale"),
        ("learning_rate", 0.0009, "out of range"),
        ("learning_rate", NAN, "nan is not a number"),
        ("learning_rate", "nan", "is not a number"),
        ("learning_rate", -INF, "is not a number"),
        ("learning_rate", True, "True is not a number"),
        ("learning_rate", None, "None is not a number"),
        ("learning_rate", "__import__('os')", "is not a number"),
        ("learning_rate", [0.1], "a list is not a number"),
        ("learning_rate", 10**400, "a huge integer is not a number"),
        ("n_estimators", 100.5, "100.5 is not a whole number; allowed: whole number 50 to 500"),
        ("n_estimators", "x" * 1_000_000, "is not a number"),
        ("kernel", "sigmoid", "kernel: 'sigmoid' is no choice; allowed: one of 'rbf', 'poly', None"),
        ("kernel", {"a": 1}, "a dict is no choice"),
        ("flag", 1, "1 is no choice; allowed: one of True, False"),
        ("max_iter", 5, "max_iter: is fixed at 1000, not 5"),
        ("gamma", 1, "'gamma': is no parameter"),
    ],
)
def test_what_has_no_meaning_is_a_problem(name: str, value: object, says: str) -> None:
    checked, problems = SPACE.validate({**GOOD, name: value})
    assert checked is None
    assert len(problems) == 1
    assert says in problems[0]
    assert len(problems[0]) < 200


def test_missing_inactive_and_fixed_parameters() -> None:
    assert SPACE.validate({**GOOD, "degree": 99, "max_iter": 1000})[0] == GOOD  # inactive: not even looked at
    checked, problems = SPACE.validate({**GOOD, "kernel": "poly"})
    assert checked is None
    assert problems == ["degree: is missing; allowed: whole number 2 to 5"]
    assert SPACE.validate({**GOOD, "kernel": "poly", "degree": 3.0})[0] == {
        **GOOD,
        "kernel": "poly",
        "degree": 3,
    }
    problems = SPACE.validate({**GOOD, "kernel": "sigmoid"})[1]
    assert len(problems) == 1  # a child of a broken parent is no second problem
    problems = SPACE.validate({str(i): i for i in range(50_000)})[1]
    assert len(problems) == 10
    assert problems[-1] == "and 49996 more problems"
    assert SPACE.validate("learning_rate=0.1")[0] is None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(spaces(), st.dictionaries(st.sampled_from("abcdefgh"), junk, max_size=5))
def test_any_configuration_is_judged_and_can_be_clipped(space: SearchSpace, params: dict[str, Any]) -> None:
    checked, problems = space.validate(params)
    assert (checked is None) == bool(problems)
    if checked is not None:
        assert space.contains(checked)
    assert all(len(problem) < 700 for problem in problems)
    clipped = space.clip(params)
    assert space.contains(clipped)
    assert SPACE.validate(params)[0] is None


def test_clip_takes_the_nearest_value() -> None:
    clipped = SPACE.clip(
        {"learning_rate": 7, "n_estimators": -3, "subsample": 0.86, "kernel": "poly", "degree": INF}
    )
    assert clipped == {
        "learning_rate": 0.3,
        "n_estimators": 50,
        "subsample": 0.9,
        "kernel": "poly",
        "degree": 5,
        "flag": False,
    }
    centre = SPACE.clip({})
    assert centre["learning_rate"] == pytest.approx(math.sqrt(0.001 * 0.3))


def test_positions_are_on_the_parameters_own_scale() -> None:
    unit = SPACE.to_unit(
        {**GOOD, "learning_rate": math.sqrt(0.001 * 0.3), "n_estimators": 50, "subsample": 1.0}
    )
    assert list(SPACE) == ["learning_rate", "n_estimators", "kernel", "degree", "subsample", "flag"]
    assert unit == pytest.approx([0.5, 0.0, 1 / 6, 0.5, 1.0, 0.25])
    assert SPACE.from_unit([2.0, 1.0, -1.0, 0.0, NAN, 0.6])["learning_rate"] == pytest.approx(0.3)
    with pytest.raises(ValueError, match="2 positions for 6 parameters"):
        SPACE.from_unit([0.1, 0.2])
    few = SearchSpace({"n": IntDistribution(1, 3)})
    values = [few.from_unit([u])["n"] for u in np.linspace(0, 1, 3001)]
    assert [values.count(n) for n in (1, 2, 3)] == pytest.approx([1000, 1000, 1000], abs=2)


def test_the_key_tells_apart_only_what_differs_in_meaning() -> None:
    key = SPACE.key(GOOD)
    assert SPACE.key({**GOOD, "learning_rate": 0.0999}) == key
    assert SPACE.key({**GOOD, "degree": 4}) == key
    assert SPACE.key({**GOOD, "learning_rate": 0.105}) != key
    assert SPACE.key({**GOOD, "n_estimators": 101}) != key
    assert SPACE.key({**GOOD, "flag": False}) != key
    assert SPACE.key({**GOOD, "kernel": None}) != key
    wide = SearchSpace({"lr": FloatDistribution(1e-8, 1.0, log=True)})
    assert wide.key({"lr": 1e-8}) != wide.key({"lr": 2e-8})


def test_optuna_gets_the_active_parameters_and_the_estimator_the_fixed_ones_too() -> None:
    trial = optuna.trial.FixedTrial({**GOOD, "kernel": "poly", "degree": 4})
    params = SPACE.suggest(trial)
    assert params == {**GOOD, "kernel": "poly", "degree": 4, "max_iter": 1000}
    assert list(params)[-1] == "max_iter"
    assert "max_iter" not in trial.distributions
    assert trial.distributions == SPACE.distributions
    trial = optuna.trial.FixedTrial({**GOOD, "degree": 4})
    assert "degree" not in SPACE.suggest(trial)
    assert "degree" not in trial.distributions
    study = optuna.create_study()
    assert SPACE.contains({k: v for k, v in SPACE.suggest(study.ask()).items() if k != "max_iter"})


def test_a_fixed_parent_decides_and_a_fixed_child_can_be_inactive() -> None:
    dropped = SPACE.drop("kernel", "poly").drop("degree", 3)
    assert dropped.with_fixed({"learning_rate": 0.1})["degree"] == 3
    dropped = SPACE.drop("kernel", "rbf").drop("degree", 3)
    assert "degree" not in dropped.with_fixed({"learning_rate": 0.1})
    assert "degree" not in SPACE.drop("kernel", "rbf").sample(np.random.default_rng(0))


# --- other spaces from one ------------------------------------------------------------------------------


def test_changes_give_new_spaces_and_leave_the_old_one() -> None:
    before = SPACE.to_json()
    assert SPACE.narrow("learning_rate", high=0.1)["learning_rate"] == FloatDistribution(0.001, 0.1, log=True)
    assert SPACE.narrow("n_estimators", low=10, high=90.7)["n_estimators"] == IntDistribution(50, 90)
    assert SPACE.narrow("subsample", low=0.62)["subsample"] == FloatDistribution(0.7, 1.0, step=0.1)
    assert SPACE.narrow("kernel", choices=["poly", "x"])["kernel"] == CategoricalDistribution(["poly"])
    assert SPACE.widen("learning_rate", high=1.0)["learning_rate"] == FloatDistribution(0.001, 1.0, log=True)
    assert SPACE.widen("learning_rate", low=0.01)["learning_rate"] == SPACE["learning_rate"]
    assert SPACE.widen("kernel", choices=["linear"])["kernel"].choices == ("rbf", "poly", None, "linear")
    dropped = SPACE.drop("n_estimators", 200)
    assert "n_estimators" not in dropped
    assert dropped.fixed == {"max_iter": 1000, "n_estimators": 200}
    assert dropped.restore("n_estimators", SPACE["n_estimators"]) == SPACE
    assert SPACE.to_json() == before
    for refused in (
        lambda: SPACE.narrow("learning_rate", low=0.5),
        lambda: SPACE.narrow("learning_rate", low=0.2, high=0.1),
        lambda: SPACE.narrow("kernel", choices=["x"]),
        lambda: SPACE.narrow("gamma", low=1),
        lambda: SPACE.drop("gamma", 1),
        lambda: SPACE.restore("x", object()),  # type: ignore[arg-type]
        lambda: SearchSpace({"x": IntDistribution(1, 2)}, fixed={"x": 1}),
        lambda: SearchSpace({"x": IntDistribution(1, 2)}, conditions=[Condition("x", "y", (1,))]),
    ):
        with pytest.raises(InputError):
            refused()


@quick
@given(spaces(), spaces(), st.integers(0, 2**32 - 1))
def test_a_space_within_another_never_leaves_it(inner: SearchSpace, outer: SearchSpace, seed: int) -> None:
    cut = inner.within(outer)
    assert set(cut) <= set(outer)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        for name, value in cut.with_fixed(cut.sample(rng)).items():
            if name in outer:
                assert SearchSpace({name: outer[name]}).validate({name: value})[1] == []
    assert inner.within(inner) == inner


@quick
@given(spaces(), spaces(), st.integers(0, 2**32 - 1))
def test_the_outer_space_holds_the_space_and_its_prior(
    space: SearchSpace, prior: SearchSpace, seed: int
) -> None:
    outer = outer_of(space, prior, {})
    assert {*space} | {*prior} == {*outer}
    for name in set(space) & set(prior):
        assume(
            isinstance(space[name], CategoricalDistribution)
            == isinstance(prior[name], CategoricalDistribution)
        )
    rng = np.random.default_rng(seed)
    for part in (space, prior):
        for name, value in part.sample(rng).items():
            assert SearchSpace({name: outer[name]}).validate({name: value})[1] == []
    assert outer_of(space, None, {}).within(space) == space


def test_the_outer_space_is_wider_inside_its_limits() -> None:
    outer = outer_of(
        SPACE, SearchSpace({"kernel": CategoricalDistribution(["linear"])}), {"learning_rate": (0.0, 1.0)}
    )
    assert outer["learning_rate"] == FloatDistribution(0.0001, 1.0, log=True)
    assert outer["n_estimators"] == IntDistribution(
        1, 950
    )  # a whole number from 1 does not become 0 or negative
    assert outer["subsample"] == FloatDistribution(0.0, 1.0, step=0.1)  # a share stays a share
    assert outer["kernel"] == CategoricalDistribution(["rbf", "poly", None, "linear"])
    assert outer.fixed == {"max_iter": 1000}
    again = outer_of(SPACE.drop("degree", 3), SPACE, {})
    assert "degree" in again  # searched in one of the two
    assert SPACE.within(outer) == SPACE


def test_within_keeps_what_is_fixed_outside_and_frees_a_value_that_is_not_allowed() -> None:
    outer = SPACE
    inner = SearchSpace(
        {"learning_rate": FloatDistribution(0.5, 2.0)}, fixed={"n_estimators": 10**6, "flag": True, "x": 1}
    )
    cut = inner.within(outer)
    assert cut["learning_rate"] == SPACE["learning_rate"]  # nothing in common
    assert cut["n_estimators"] == SPACE["n_estimators"]
    assert cut.fixed == {"flag": True, "max_iter": 1000}
    chosen = SearchSpace({"n_estimators": CategoricalDistribution([100, 300, 900])}).within(outer)
    assert chosen["n_estimators"] == IntDistribution(100, 500)
    assert SearchSpace({"subsample": FloatDistribution(0.63, 0.88)}).within(outer)[
        "subsample"
    ] == FloatDistribution(0.7, 0.8, step=0.1)


@pytest.mark.parametrize(
    "data", [{}, {"version": "x"}, {"version": 0, "trial_number": 0, "reason": "", "by": "llm"}]
)
def test_a_broken_version_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        SpaceVersion.from_json(data)


@pytest.mark.parametrize(
    ("notation", "value", "problem"),
    [
        ((0.0, 1.0), 1.0000001, "1.0000001 is out of range; allowed: 0 to 1"),
        ((0.5, 0.99999999), 1.0, "1 is out of range; allowed: 0.5 to 0.99999999"),
        ((1, 9), 7.0000001, "7.0000001 is not a whole number; allowed: whole number 1 to 9"),
        ((0.0, 1.0), 3.14159265, "3.14159 is out of range; allowed: 0 to 1"),
        ([0.1234567, 0.1234568], 5, "5 is no choice; allowed: one of 0.1234567, 0.1234568"),
    ],
)
def test_a_wrong_value_never_reads_as_an_allowed_one(notation: Any, value: Any, problem: str) -> None:
    assert SearchSpace.from_user({"x": notation}).check("x", value)[1] == problem
