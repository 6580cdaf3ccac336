"""``make fuzz`` itself: it reaches everything, repeats a seed exactly, and reports each kind of harm."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from app.uploads import gate
from model.pictures import FORMATS, open_rgb, probe
from tests.campaigns.fuzz import children, pictures, requests
from tests.campaigns.fuzz.calls import request, targets
from tests.campaigns.fuzz.mutants import mutant
from tests.campaigns.fuzz.seeds import seeds
from tests.campaigns.fuzz.structure import parts, png_repaired
from tests.campaigns.fuzz.trial import DECODED
from tests.support.postgres import INSTALL, installed


@pytest.fixture(autouse=True)
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where findings go, in place of ``build/fuzz``."""
    monkeypatch.setattr(pictures, "FINDINGS", tmp_path)
    monkeypatch.setattr(requests, "FINDINGS", tmp_path)
    return tmp_path


def run(trial: Callable[[int], object], folder: Path, count: int = 6) -> list[object]:
    return list(children.run(range(count), trial, begin=lambda: None, processes=2, traces=folder))


def test_every_seed_is_a_picture_that_is_let_in() -> None:
    assert {seed.kind for seed in seeds()} == set(FORMATS)
    assert len({seed.name for seed in seeds()}) == len(seeds()) > 80
    for seed in seeds():
        info = probe(seed.data)
        assert info.format == seed.kind, seed.name
        assert open_rgb(seed.data).size == info[1:], seed.name


def test_every_seed_is_understood_as_far_as_its_blocks_and_numbers() -> None:
    for seed in seeds():
        blocks, fields = parts(seed.kind, seed.data)
        assert blocks, seed.name
        assert len(fields) > 5, seed.name
        assert seed.kind != "PNG" or png_repaired(seed.data) == seed.data


def test_the_same_number_is_the_same_picture() -> None:
    first = [mutant(7, number) for number in range(40)]
    assert [mutant(7, number) for number in reversed(range(40))] == first[::-1]
    assert len({each.data for each in first}) > 35
    assert [mutant(8, number).data for number in range(40)] != [each.data for each in first]


def test_mutated_pictures_are_decoded_or_refused_in_every_format() -> None:
    tally = pictures.play(range(240), 1)
    assert tally.findings == []
    for kind in FORMATS:
        outcomes = tally.outcomes[kind]
        assert outcomes.total() == 30
        assert 0 < outcomes[DECODED] < 30, kind


def test_an_error_of_the_gate_is_found_and_kept(monkeypatch: pytest.MonkeyPatch, findings: Path) -> None:
    def careless(*_arguments: object) -> None:
        raise KeyError("a chunk")

    monkeypatch.setattr(gate, "probe", careless)
    tally = pictures.play([5], 1)
    assert "KeyError" in tally.findings[0][1]
    assert (findings / "1-5.tiff").read_bytes() == mutant(1, 5).data
    assert "--seed 1 --only 5" in (findings / "1-5.txt").read_text()


def test_a_crash_is_found_and_the_rest_is_played(tmp_path: Path) -> None:
    def trial(number: int) -> str:
        if number == 2:
            os.abort()
        return str(number)

    results = run(trial, tmp_path)
    (death,) = [result for result in results if isinstance(result, children.Death)]
    assert death.number == 2
    assert "killed by signal 6" in death.reason
    assert "in trial" in death.reason
    assert {result for result in results if isinstance(result, str)} == {"0", "1", "3", "4", "5"}
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_never_ends_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "HANGS_AFTER", 0.5)
    results = run(lambda number: time.sleep(1000 if number == 3 else 0), tmp_path)
    assert [result.number for result in results if isinstance(result, children.Death)] == [3]
    assert results.count(None) == 5


def test_every_method_of_every_route_has_its_turn(app: Flask) -> None:
    turns = {(method, rule.rule) for method, rule in targets(app.url_map)}
    assert turns == {
        (method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }


@pytest.mark.filterwarnings(
    "ignore"
)  # Pillow's warnings; files that Werkzeug's parser leaves to the garbage collector
@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="module"
)
def test_generated_requests_reach_every_route_and_end_in_no_server_error(database: str) -> None:
    if database == "postgresql" and not installed():
        pytest.skip(INSTALL)
    with requests.world(database) as world:
        numbers = range(len(targets(world.app.url_map)) * 3)
        assert requests.play(world, numbers, 1) == {}
        gc.collect()
        assert {rule for _, rule in world.reached} == {rule for _, rule in world.routes}


def test_a_server_error_and_a_script_that_comes_through_are_found(findings: Path) -> None:
    with requests.world("sqlite") as world:
        turns = targets(world.app.url_map)
        (number,) = [
            n for n, (method, rule) in enumerate(turns[:84]) if (method, rule.rule) == ("GET", "/about")
        ]
        world.app.view_functions["main.about"] = lambda: 1 / 0
        assert "status 500" in requests.play(world, [number], 1)[number]
        assert "ZeroDivisionError" in (findings / f"request-1-{number}.txt").read_text()
        world.app.view_functions["main.about"] = lambda: "<script>vitrine-was-here</script>"
        assert "came through" in world.ask(request(1, number, turns, world.callers))
        world.app.view_functions["main.about"] = lambda: ("later", 503)
        assert "status 503" in world.ask(request(1, number, turns, world.callers))
