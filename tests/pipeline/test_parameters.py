"""Parameters are checked before anything starts."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stixlab.errors import ParameterError
from stixlab.pipeline.identity import make_run, run_identity
from stixlab.pipeline.parameters import check_parameters, parameters_from_text
from stixlab.pipeline.spec import read_spec
from tests.support.pipelines import FIND, FRONT, GIVEN, PARAMETERS, SAVE, write_notebook

LIMITS = "  n: {minimum: 1, maximum: 9}\n"
MORE = "n: int = 3  # how many\nwidth: float = 2.0  # s, of the window\nfast: bool = False  # whether\n"


@pytest.fixture
def spec(tmp_path):
    return read_spec(write_notebook(tmp_path, FIND, SAVE, front=FRONT + LIMITS, parameters=PARAMETERS + MORE))


def test_defaults_are_filled_in(spec):
    given = {"start": "2022-03-01", "end": "2022-03-02"}
    assert check_parameters(spec, given) == given | {"origin": "", "n": 3, "width": 2.0, "fast": False}


@pytest.mark.parametrize(
    "start",
    [
        "2022-03-01T12:00:00",
        "2022-03-01 12:00",
        "2022-03-01T12:00:00.000Z",
        datetime(2022, 3, 1, 12, tzinfo=UTC),
        datetime(2022, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2022-03-01T12"),
    ],
)
def test_a_time_is_written_in_one_way(spec, start):
    """So that the same run has the same identity however it was asked for."""
    assert check_parameters(spec, {"start": start, "end": "2022-03-02"})["start"] == "2022-03-01T12:00:00"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"startt": "2022-03-01"}, "startt: unknown; did you mean start"),
        ({"zzz": 1}, "zzz: unknown; there are start"),
        ({"start": None}, "start: expected a UTC time"),
        ({"start": "noon"}, "start: expected a UTC time such as"),
        ({"start": "2022-02-30"}, "start: expected a UTC time"),
        ({"end": "2022-03-01"}, "end: expected a time after start"),
        ({"end": "2021-03-01"}, "end: expected a time after start"),
        ({"origin": "moon"}, "origin: expected one of '', 'flight', 'simulated'; found 'moon'"),
        ({"n": 0}, "n: expected 1 to 9; found 0"),
        ({"n": 10}, "n: expected 1 to 9; found 10"),
        ({"n": "3"}, "n: expected int; found '3'"),
        ({"n": True}, "n: expected int; found True"),
        ({"width": float("nan")}, "width: expected a finite number"),
        ({"fast": 1}, "fast: expected bool"),
        ({"n": 3.0}, "n: expected int; found 3.0"),
        ({"n": 2**63}, "n: expected a whole number of 64 bits"),
        ({"width": 10**400}, "width: expected float"),
        ({"width": float("inf")}, "width: expected a finite number"),
        ({"width": True}, "width: expected float"),
        ({"origin": "\ud800"}, "origin: expected"),
        ({"origin": 3}, "origin: expected str; found 3"),
        ({"origin": None}, "origin: expected str; found None"),
        ({"start": ""}, "start: expected a UTC time"),
        ({"start": 20220301}, "start: expected a UTC time as text"),
        ({"start": datetime(2606, 9, 20, tzinfo=UTC)}, "start: expected a UTC time"),
        ({"start": np.datetime64("2606-09-20", "s")}, "start: expected a UTC time"),
        ({"start": np.datetime64("NaT")}, "start: expected a UTC time"),
        ({"start": "2101-01-01"}, "start: expected a time from 2020"),
    ],
)
def test_a_wrong_parameter_is_refused(spec, change, words):
    with pytest.raises(ParameterError, match=words):
        check_parameters(spec, GIVEN | change)


def test_all_that_is_wrong_is_told_at_once(spec):
    with pytest.raises(ParameterError) as caught:
        check_parameters(spec, {"end": "later", "n": 99, "colour": "red"})
    assert [p.split(":")[0] for p in caught.value.problems] == ["colour", "start", "end", "n"]


def test_texts_of_a_command_line_are_brought_to_their_types(spec):
    texts = {"start": "2022-03-01", "end": "2022-03-02", "n": "4", "width": "1e1", "fast": "yes"}
    values = parameters_from_text(spec, texts)
    assert (values["n"], values["width"], values["fast"]) == (4, 10.0, True)
    with pytest.raises(ParameterError, match="n: expected int; found 'four'"):
        parameters_from_text(spec, texts | {"n": "four"})


names = st.sampled_from(["start", "end", "origin", "n", "width", "fast", "other"])
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.datetimes(), st.lists(st.integers(), max_size=2)
)  # fmt: skip


@given(given=st.dictionaries(names, values))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_is_taken_in_one_way_or_refused_with_every_name(spec, given):
    try:
        checked = check_parameters(spec, given)
    except ParameterError as error:
        told = {p.split(":")[0] for p in error.problems}
        assert {"start", "end"} - set(given) <= told
        assert ("other" in told) == ("other" in given)
    else:
        assert check_parameters(spec, checked) == checked
        json.dumps(checked, allow_nan=False)


numbers = {
    "n": st.integers(1, 9),
    "width": st.floats(allow_nan=False, allow_infinity=False),
    "fast": st.booleans(),
}
first, last = (datetime.fromisoformat(text) for text in ("2020-01-01", "2098-01-01"))


@given(given=st.fixed_dictionaries(numbers), start=st.datetimes(first, last), minutes=st.integers(1, 10_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_typed_is_what_is_meant(spec, given, start, minutes):
    asked = given | {"start": start, "end": start + timedelta(minutes=minutes)}
    typed = {k: v.isoformat() if isinstance(v, datetime) else str(v) for k, v in asked.items()}
    assert parameters_from_text(spec, typed) == check_parameters(spec, asked)


def test_a_run_is_the_same_for_the_same_inputs_and_another_for_others(spec):
    inputs = {"a": "1", "b": "2"}
    run = make_run(spec, GIVEN, inputs=inputs)
    again = make_run(spec, dict(reversed(GIVEN.items())), inputs=dict(reversed(inputs.items())))
    assert run.run_id == again.run_id
    assert run.run_id.startswith("trial-")
    others = [
        make_run(spec, GIVEN | {"n": 4}, inputs=inputs).run_id,
        make_run(spec, GIVEN, inputs=inputs | {"b": "3"}).run_id,
        run_identity(spec, run.parameters, inputs, {"stixlab": "99"}),
    ]
    assert len({run.run_id, *others}) == 4


def test_a_check_does_not_wait_for_the_grammar_of_web_addresses():
    """The library builds it whenever it is imported, which takes longer than all the rest."""
    code = (
        "import importlib.util, sys; from stixlab.pipeline import parameters; parameters._validator();"
        "assert 'jsonschema' in sys.modules; assert 'rfc3987_syntax' not in sys.modules;"
        "assert importlib.util.find_spec('rfc3987_syntax'), 'others may still import it'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
