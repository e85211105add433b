"""The command line keeps compiled programs, where the user says or in the user's cache."""

import os
import subprocess
import sys

import pytest

CODE = """
import jax
from jaxopt_edu.cli.cache import keep_compiled_programs
keep_compiled_programs()
print(jax.config.jax_compilation_cache_dir)
"""


@pytest.mark.parametrize("given", [True, False], ids=["JAX's variable", "XDG_CACHE_HOME"])
def test_where_compiled_programs_are_kept(tmp_path, given):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    expected = tmp_path / "jaxopt-edu"
    if given:
        expected = tmp_path / "given"
        environment["JAX_COMPILATION_CACHE_DIR"] = str(expected)
    output = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert output.splitlines()[-1] == str(expected)


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "file")
    output = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert output.splitlines()[-1] == "None"
