"""Interpreters: what they may be called, how they are found, and that only what they say counts."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.interpreters import asking, environments
from bench.interpreters.asking import SilentInterpreterError, ask
from bench.interpreters.environments import (
    EnvironmentTroubleError,
    closure,
    folder_of,
    has,
    install,
    read_lock,
    with_libraries,
)
from bench.interpreters.finding import NoSuchInterpreterError, found, resolve
from bench.interpreters.named import OWN, NameOfInterpreterError, parse, short_name
from tests.commands import bench_in_process
from tests.conftest import ROOT

FACTS: dict[str, Any] = {
    "implementation": "cpython",
    "version": "3.14.2",
    "release": "3.14.2 (main)",
    "free_threaded": False,
    "gil": True,
    "jit": None,
    "jit_built": True,
    "debug": False,
    "optimized": True,
    "build_flags": "--enable-optimizations",
    "compiler": "GCC",
    "malloc": "pymalloc",
    "bits": 64,
    "libraries": ["/nowhere"],
    "environment": {},
}
FREE = {"free_threaded": True, "gil": False, "malloc": "mimalloc"}

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return a function that puts a script on PATH which says that it is some interpreter.

    Nothing but these scripts is found then, and the interpreter of this process.
    """
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))

    def make(name: str, folder: Path = bin_folder, body: str = "", **facts: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        answer = json.dumps({**FACTS, "path": str(path), **facts})
        # A shell is there sooner than a Python.
        path.write_text(
            f"#!{sys.executable} -S\n{body}" if body else f"#!/bin/sh\necho {shlex.quote(answer)}\n"
        )
        path.chmod(0o755)
        return path

    return make


# Names.


@pytest.mark.parametrize(
    ("text", "what", "label", "environment"),
    [
        ("3.13", "3.13", "", ()),
        ("3.13t:PYTHON_GIL=1", "3.13t", "", (("PYTHON_GIL", "1"),)),
        ("free=/opt/py/bin/python3", "/opt/py/bin/python3", "free", ()),
        ("a=3.13:PYTHON_JIT=1:PYTHONMALLOC=malloc", "3.13", "a",
         (("PYTHON_JIT", "1"), ("PYTHONMALLOC", "malloc"))),
    ],
)  # fmt: skip
def test_a_name_is_taken_apart(
    text: str, what: str, label: str, environment: tuple[tuple[str, str], ...]
) -> None:
    assert parse(text) == (what, label, environment)


@pytest.mark.parametrize(
    "text",
    ["", "=3.13", "a b=3.13", "3.13:", "3.13:GIL=1", "3.13:PYTHON_GIL", "3.13:PYTHONPATH=/tmp"],
)
def test_what_cannot_be_a_name_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(NameOfInterpreterError, match=r"names no interpreter|no setting"):
        parse(text)


@pytest.mark.parametrize(
    ("facts", "name"),
    [({}, "3.14"), (FREE, "3.14t"), ({"implementation": "pypy", "version": "3.11.13"}, "pypy3.11")],
)
def test_an_interpreter_is_called_what_it_says_it_is(facts: dict[str, Any], name: str) -> None:
    assert short_name({**FACTS, **facts}) == name
    assert parse("/some/path").name({**FACTS, **facts}) == name
    assert parse("/some/path:PYTHON_GIL=1").name({**FACTS, **facts}) == f"{name}:PYTHON_GIL=1"
    assert parse("mine=/some/path").name({**FACTS, **facts}) == "mine"


@pytest.mark.parametrize(
    ("name", "facts", "objection"),
    [
        ("3.14", {}, ""),
        ("3.14.2", {}, ""),
        ("python3.14", {}, ""),
        ("3", FREE, ""),
        ("3.14t", FREE, ""),
        ("3.14", FREE, "it is free-threaded: its name is 3.14t"),
        ("3.14t", {}, "it is not free-threaded"),
        ("3.13", {}, "it is 3.14.2"),
        ("3.1", {}, "it is 3.14.2"),
        ("pypy3", {}, "it is cpython, not pypy"),
        ("3.11", {"implementation": "pypy"}, "it is pypy, not cpython"),
        ("3.14.0", {"version": "3.14.0rc2"}, ""),
    ],
)
def test_a_version_is_held_against_what_is_said(
    name: str, facts: dict[str, Any], objection: str
) -> None:
    wanted = parse(name).wanted
    assert wanted
    assert wanted.objection({**FACTS, **facts}) == objection


# What they say.


def test_our_own_interpreter_says_what_it_is() -> None:
    facts = ask(sys.executable)
    assert facts["version"].startswith(".".join(map(str, sys.version_info[:3])))
    assert facts["implementation"] == sys.implementation.name
    assert facts["bits"] == 64
    assert set(OWN.libraries) <= set(facts["libraries"])


def test_what_is_set_for_an_interpreter_is_set_when_it_is_asked() -> None:
    facts = ask(sys.executable, (("PYTHONMALLOC", "malloc"),))
    assert facts["malloc"] == facts["environment"]["PYTHONMALLOC"] == "malloc"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("import sys; sys.exit('no such build')", "failed when it was asked .*: no such build"),
        ("import sys; sys.exit('Fatal Python error: x\\nstate')", "asked what it is: Fatal Python"),
        ("import os; os._exit(1)", "it said nothing"),
        ("pass", "does not say what it is"),
        ("print('hello')", "does not say what it is"),
        ("print('[]')", "does not say what it is: its answer"),
        ("print('{}')", "path is missing"),
        ("import time; time.sleep(60)", r"within 0\.3 s"),
    ],
)
def test_what_does_not_say_what_it_is_is_no_interpreter(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, body: str, sentence: str
) -> None:
    if "sleep" in body:
        monkeypatch.setattr(asking, "ASK_SECONDS", 0.3)
    with pytest.raises(SilentInterpreterError, match=sentence):
        ask(str(fake("odd", body=body)))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"gil": "yes"}, "gil is 'yes'"),
        ({"version": "new"}, "version is 'new'"),
        ({"path": "python"}, "path is 'python'"),
        ({"libraries": [7]}, "libraries"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_none(
    fake: Fake, facts: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SilentInterpreterError, match=sentence):
        ask(str(fake("odd", **facts)))


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(SilentInterpreterError, match="cannot be run: No such file"):
        ask(str(tmp_path / "nothing"))


# Where they are.


def test_a_version_is_found_on_path_and_under_pyenv_and_uv(fake: Fake, tmp_path: Path) -> None:
    on_path = fake("python3.14")
    in_pyenv = fake("python", tmp_path / "pyenv/versions/3.15.1/bin", version="3.15.1")
    in_uv = fake("python", tmp_path / "uv/cpython-3.14.2+freethreaded-linux/bin", **FREE)
    paths = [each.path for each in resolve(["3.14", "3.15", "3.14t"])]
    assert paths == [str(on_path), str(in_pyenv), str(in_uv)]


def test_what_uv_finds_is_found(fake: Fake, tmp_path: Path) -> None:
    elsewhere = fake("python3", tmp_path / "elsewhere")
    fake("uv", body=f"import sys; print({str(elsewhere)!r} if '3.14' in sys.argv else '')")
    assert resolve(["3.14"])[0].path == str(elsewhere)
    fake("uv", body="import sys; sys.exit(2)")
    with pytest.raises(NoSuchInterpreterError):
        resolve(["3.14"])


def test_ours_is_the_first_of_its_version_and_may_have_two_names(fake: Fake) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    fake(f"python{version}", version=f"{version}.99")
    one, other = resolve([version, f"again={version}:PYTHONMALLOC=malloc"])
    assert one.path == other.path == sys.executable
    assert (one.name, other.name) == (version, "again:PYTHONMALLOC=malloc")
    assert other.facts["malloc"] == "malloc"


def test_a_free_threaded_one_is_never_taken_for_what_its_file_is_called(fake: Fake) -> None:
    path = fake("python3.14", **FREE)
    with pytest.raises(NoSuchInterpreterError, match=r"free-threaded: its name is 3\.14t") as said:
        resolve(["3.14"])
    assert str(path) in str(said.value)
    assert resolve([str(path)])[0].name == "3.14t"


def test_a_name_that_is_not_found_says_what_is_and_how_to_get_it(fake: Fake) -> None:
    fake("python3.15", version="3.15.0")
    with pytest.raises(NoSuchInterpreterError) as said:
        resolve(["3.14"])
    assert all(word in str(said.value) for word in ("3.14", "3.15", "uv python install", "path"))
    assert said.value.exit_code == 2
    with pytest.raises(NoSuchInterpreterError, match="no command on PATH"):
        resolve(["nonesuch"])


def test_one_that_is_too_old_for_servers_is_refused_by_name_and_listed_with_the_reason(
    fake: Fake,
) -> None:
    fake("python3.10", version="3.10.1")
    with pytest.raises(NoSuchInterpreterError, match=r"need Python 3\.11 or newer.* 3\.10\.1"):
        resolve(["3.10"])
    rows = {row.name: row.reason for row in found()}
    assert rows.pop("3.10")
    assert list(rows.values()) == [""]


def test_two_of_one_name_need_a_label(fake: Fake, tmp_path: Path) -> None:
    one, other = fake("python3.14"), fake("python3.14", tmp_path / "other")
    with pytest.raises(NoSuchInterpreterError, match="label"):
        resolve([str(one), str(other)])
    assert [each.name for each in resolve([str(one), f"b={other}"])] == ["3.14", "b"]


def test_the_list_has_each_once_by_a_name_that_means_it(fake: Fake, tmp_path: Path) -> None:
    fake("python3.14")
    fake("python3", tmp_path / "bin", body="import sys; sys.exit('a shim without a version')")
    fake("python", tmp_path / "pyenv/versions/3.14.1/bin", version="3.14.1")
    listed = {row.name: row.facts["path"] for row in found()}
    assert next(iter(listed.values())) == sys.executable
    assert {"3.14", "3.14.1"} <= set(listed)
    for name, path in listed.items():
        assert resolve([name])[0].path == path


def test_the_verb_lists_what_is_found_and_has_the_names_that_others_rely_on(fake: Fake) -> None:
    fake("python3.14", **FREE)
    rows = json.loads(bench_in_process("interpreters", "--json").stdout)
    relied_on = {"name", "path", "implementation", "version", "free_threaded", "gil", "jit"}
    assert all(relied_on <= set(row) for row in rows)
    assert [row["name"] for row in rows][1:] == ["3.14t"]
    assert "3.14t" in bench_in_process("interpreters").stdout
    asked = bench_in_process("interpreters", "--json", "3.14t:PYTHON_GIL=1").stdout
    assert json.loads(asked)[0]["name"] == "3.14t:PYTHON_GIL=1"
    several = bench_in_process("interpreters", "--json", "3.14t,one=3.14t", "other=3.14t").stdout
    assert [row["name"] for row in json.loads(several)] == ["3.14t", "one", "other"]
    done = bench_in_process("interpreters", "3.16")
    assert done.returncode == 2
    assert "3.14t" in done.stderr


# What is installed for them.

LOCK = """\
# This file was made
anyio==4.0 \\
    --hash=sha256:aa
    # via
    #   threadmill (pyproject.toml)
    #   other
sniffio==1.3 ; python_version < '4' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via anyio
idna==3 \\
    --hash=sha256:dd
    # via sniffio
zope-interface==8 \\
    --hash=sha256:ee
    # via twisted
"""


def test_a_library_comes_with_what_it_needs_and_its_hashes_and_nothing_else() -> None:
    entries = read_lock(LOCK)
    assert closure("anyio", entries) == ["anyio", "sniffio", "idna"]
    assert len(entries["sniffio"].lines) == 3
    assert closure("nonesuch", entries) == []


def test_every_library_of_the_extra_is_in_our_lock() -> None:
    entries = read_lock((ROOT / "requirements.lock").read_text())
    names = environments.wanted("models", ROOT)
    assert names
    assert [name for name in names if not closure(name, entries)] == []


def test_only_an_environment_of_its_own_kind_gives_an_interpreter_libraries(
    fake: Fake, tmp_path: Path
) -> None:
    home, libraries = tmp_path / "home", tmp_path / "libraries"
    fake("python3.14")
    (interpreter,) = resolve(["3.14:PYTHONMALLOC=malloc"])
    assert with_libraries(interpreter, home) == interpreter
    folder = folder_of(interpreter.name, home)
    assert folder.name == ".venv-3.14"
    fake("python", folder / "bin", libraries=[str(libraries)])
    (libraries / "needed-1.0.dist-info").mkdir(parents=True)
    (libraries / "needed-1.0.dist-info/METADATA").write_text("Name: needed\nVersion: 1.0\n")
    equipped = with_libraries(interpreter, home)
    assert (has(interpreter, "needed"), has(equipped, "needed")) == (False, True)
    fake("python", folder / "bin", version="3.14.3")
    with pytest.raises(EnvironmentTroubleError, match=r"another interpreter.* 3\.14\.3, 3\.14\.2"):
        with_libraries(interpreter, home)
    fake("python", folder / "bin", body="import sys; sys.exit('gone')")
    with pytest.raises(EnvironmentTroubleError, match=r"broken, remove it.*gone"):
        with_libraries(interpreter, home)


PIP = """
import pathlib, shutil, sys
if "venv" in sys.argv:
    folder = pathlib.Path(sys.argv[-1]) / "bin"
    folder.mkdir(parents=True)
    shutil.copy(__file__, folder / "python")
elif "pip" in sys.argv:
    asked = open(sys.argv[-1]).read()
    assert "--only-binary" in sys.argv and "--require-hashes" in sys.argv
    if "twisted" in asked:
        sys.exit("ERROR: No matching distribution found for twisted")
    if "odd" in asked:
        sys.exit("ERROR: the disk is full")
    made = pathlib.Path(LIBRARIES, "anyio-4.0.dist-info")
    made.mkdir(parents=True)
    made.joinpath("METADATA").write_text("Name: anyio\\nVersion: 4.0\\n")
else:
    print(ANSWER)
"""


def test_what_has_no_wheel_is_said_and_keeps_no_other_from_being_installed(
    fake: Fake, tmp_path: Path
) -> None:
    home, libraries = tmp_path / "home", tmp_path / "libraries"
    home.mkdir()
    extra = '[project.optional-dependencies]\nmodels = ["twisted", "Odd", "none", "anyio>=4"]\n'
    (home / "pyproject.toml").write_text(extra)
    odd = "twisted==1 \\\n    --hash=sha256:ab\nodd==1 \\\n    --hash=sha256:ac\n"
    (home / "requirements.lock").write_text(LOCK + odd)
    answer = json.dumps({**FACTS, "path": str(tmp_path / "bin/python3.14"),
                         "libraries": [str(libraries)]})  # fmt: skip
    body = f"LIBRARIES, ANSWER = {str(libraries)!r}, {answer!r}\n{PIP}"
    fake("python3.14", body=body)
    said: list[str] = []
    done = install("models", resolve(["3.14"])[0], home, said.append)
    assert [tuple(each) for each in done] == [
        ("twisted", "", "no wheel for this interpreter"),
        ("odd", "", "cannot install it: ERROR: the disk is full"),
        ("none", "", "it is not in the lock"),
        ("anyio", "4.0", ""),
    ]
    assert said[0] == "making .venv-3.14"
    with pytest.raises(environments.NoSuchExtraError, match="models"):
        install("modles", resolve(["3.14"])[0], home, said.append)


def test_an_environment_that_cannot_be_made_is_said(fake: Fake, tmp_path: Path) -> None:
    body = "import sys\nif 'venv' in sys.argv: sys.exit('no ensurepip')\n"
    answer = json.dumps({**FACTS, "path": str(tmp_path / "bin/python3.14")})
    fake("python3.14", body=f"{body}print({answer!r})")
    with pytest.raises(EnvironmentTroubleError, match=r"cannot make \.venv-3\.14: no ensurepip"):
        install("models", resolve(["3.14"])[0], ROOT, lambda _: None)


def test_install_takes_one_interpreter() -> None:
    done = bench_in_process("interpreters", "--install", "models")
    assert done.returncode == 2
    assert "takes one" in done.stderr


def test_those_that_are_on_this_machine_are_what_their_names_say() -> None:
    rows = [row for row in found() if not row.reason and os.sep not in row.name]
    if len(rows) == 1:
        pytest.skip("no interpreter but ours is found that servers could run under")
    for row, interpreter in zip(rows, resolve(row.name for row in rows), strict=True):
        assert os.path.realpath(interpreter.path) == os.path.realpath(row.facts["path"])
