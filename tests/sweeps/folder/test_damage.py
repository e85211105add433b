"""Every bit of every file of a sweep: turned round it is told of by name, or changes nothing."""

import json
import shutil
import warnings

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.files import MANIFEST
from jaxopt_edu.storage import read
from jaxopt_edu.sweeps import load, rewrite
from jaxopt_edu.sweeps.folder import archive
from jaxopt_edu.sweeps.folder.archive import ARRAYS, DESCRIPTION, SUMMARY, TABLES, DamageWarning
from jaxopt_edu.sweeps.folder.journal import JOURNAL, read_journal
from jaxopt_edu.sweeps.folder.spec import SPEC, read_spec
from tests.damage import flips
from tests.sweeps.regression import assert_same, run

ARGUMENTS = {"steps": 4, "seeds": 1, "evaluate": None, "keep": 0}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A finished sweep of one run; not to be changed."""
    folder = tmp_path_factory.mktemp("damage") / "sweep"
    return folder, run([jo.sgd(0.5)], path=folder, **ARGUMENTS)


@pytest.fixture
def folder(stored, tmp_path):
    return shutil.copytree(stored[0], tmp_path / "sweep")


def outcome(reader, path):
    """What a reader gives, or the error, which has to name the file."""
    try:
        return reader()
    except ValueError as error:
        said = str(error)
    assert path.name in said
    return None


@pytest.mark.parametrize("name", [DESCRIPTION, ARRAYS])
def test_no_bit_of_the_result(folder, name):
    expected = archive._checked(folder)
    refused = 0
    for bit in flips(folder / name):
        found = outcome(lambda: archive._checked(folder), folder / name)
        refused += found is None
        assert found is None or str(found) == str(expected), f"bit {bit}"
    # Spaces between words of JSON may become other white space.
    assert refused > 0.99 * 8 * (folder / name).stat().st_size


def test_no_bit_of_the_spec(folder):
    expected = read_spec(folder)
    for bit in flips(folder / SPEC):
        found = outcome(lambda: read_spec(folder), folder / SPEC)
        assert found is None or found == expected, f"bit {bit}"


def test_no_bit_of_the_journal(folder):
    expected = read_journal(folder)
    for bit in flips(folder / JOURNAL):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = read_journal(folder)
        assert all(event in expected for event in found), f"bit {bit}"
        # The last line end is what a kill may leave out too.
        if found != expected and found != expected[:-1]:
            assert JOURNAL in str(caught[0].message), f"bit {bit}"


def test_no_bit_of_the_curves(folder):
    """A 10th of them here, all of them in the stress command."""
    path = next((folder / "curves").iterdir())
    expected = read(path)
    for bit in flips(path, range(0, 8 * path.stat().st_size, 10)):
        found = outcome(lambda: read(path), path)
        if found is not None:
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values, f"bit {bit}")


def told(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        archive._warn_of_damage(folder)
    return str(caught[0].message) if caught else ""


@pytest.mark.parametrize("name", [SUMMARY, MANIFEST])
def test_no_bit_of_the_summary_and_of_the_list(folder, name):
    assert told(folder) == ""
    for bit in flips(folder / name):
        assert name in told(folder), f"bit {bit}"


def test_no_bit_of_the_table(folder):
    table = next(folder / name for name in TABLES if (folder / name).is_file())
    for bit in flips(table, range(0, 8 * table.stat().st_size, 13)):
        assert table.name in told(folder), f"bit {bit}"


def test_a_damaged_summary_is_a_warning_and_is_written_again_on_request(folder, stored):
    (folder / SUMMARY).write_text("value 0.0001")
    (folder / MANIFEST).unlink()
    with pytest.warns(DamageWarning, match=rf"{MANIFEST} is missing.*The result itself is good.*rewrite"):
        load(folder)
    assert rewrite(folder).values() == stored[1].values()
    assert load(folder).values() == stored[1].values()
    assert (folder / SUMMARY).read_text() == stored[1].summary() + "\n"


@pytest.mark.parametrize("name", [DESCRIPTION, ARRAYS])
def test_a_damaged_result_is_made_again_of_the_curves(folder, stored, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"load: .*{name} is damaged: .*resume=True"):
        load(folder)
    with pytest.raises(ValueError, match="is damaged"):
        rewrite(folder)
    units = len(read_journal(folder))
    assert_same(run([jo.sgd(0.5)], path=folder, resume=True, **ARGUMENTS), stored[1])
    assert len(read_journal(folder)) == units
    assert load(folder).values() == stored[1].values()


def test_a_result_of_two_halves_is_refused(folder, tmp_path):
    """A kill after the arrays were replaced and before the description was."""
    run([jo.sgd(0.25)], path=tmp_path / "other", **ARGUMENTS)
    shutil.copy(tmp_path / "other" / ARRAYS, folder / ARRAYS)
    with pytest.raises(
        ValueError, match=rf"{ARRAYS} is damaged: its checksum is not the one in {DESCRIPTION}"
    ):
        load(folder)


def test_a_folder_of_the_first_format_is_read(folder, stored):
    """It had no checksums, no list of them, and no numbers of a format."""
    for name in (DESCRIPTION, SPEC):
        content = json.loads((folder / name).read_bytes())
        for extra in ("format", "checksum", "arrays"):
            content.pop(extra, None)
        (folder / name).write_text(json.dumps(content))
    (folder / MANIFEST).unlink()
    assert load(folder).values() == stored[1].values()
    assert_same(run([jo.sgd(0.5)], path=folder, resume=True, **ARGUMENTS), stored[1])
    assert json.loads((folder / DESCRIPTION).read_bytes())["format"] == 2


@pytest.mark.parametrize("optimizers", [5, [5], [{"recipe": {"factory": []}, "description": ""}], [{}]])
def test_a_description_of_another_form_is_one_line(folder, optimizers):
    content = json.loads((folder / DESCRIPTION).read_bytes())
    for extra in ("format", "checksum", "arrays"):
        content.pop(extra, None)
    (folder / DESCRIPTION).write_text(json.dumps(content | {"optimizers": optimizers}))
    with pytest.raises(ValueError, match=r"result\.json (is damaged|cannot be made again)") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_braces_nested_a_hundred_thousand_deep(folder):
    (folder / DESCRIPTION).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(ValueError, match=r"result\.json is damaged: it is no JSON"):
        load(folder)
