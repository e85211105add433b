"""Folders are written whole or not at all, and nothing of the user's is lost."""

import os
import stat
from pathlib import Path

import pytest

from jaxopt_edu.files import check_folder, whole_file, whole_folder

MARKER = "made.txt"


def write(folder, **files):
    with whole_folder(folder, MARKER) as draft:
        for name, content in files.items():
            (draft / name).write_text(content)
        (draft / MARKER).write_text("")


def write_half(folder, error):
    with whole_folder(folder, MARKER) as draft:
        (draft / "a").write_text("2")
        raise error


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_new_folder(tmp_path):
    write(tmp_path / "out", a="1")
    assert content(tmp_path / "out") == {"a": "1", MARKER: ""}
    assert os.listdir(tmp_path) == ["out"]


def test_permissions_are_those_of_an_ordinary_folder(tmp_path):
    write(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_relative_path_and_trailing_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("out/", a="1")
    assert content(tmp_path / "out") == {"a": "1", MARKER: ""}


def test_old_folder_is_replaced_wholly(tmp_path):
    write(tmp_path / "out", a="1", b="2")
    write(tmp_path / "out", b="3")
    assert content(tmp_path / "out") == {"b": "3", MARKER: ""}
    assert os.listdir(tmp_path) == ["out"]


def test_old_folder_stands_until_the_new_one_is_complete(tmp_path):
    write(tmp_path / "out", a="1")
    with whole_folder(tmp_path / "out", MARKER) as draft:
        (draft / "a").write_text("2")
        assert (tmp_path / "out" / "a").read_text() == "1"


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", a="1")
    assert content(tmp_path / "out") == {"a": "1", MARKER: ""}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [True, False])
def test_failing_inside_leaves_everything_as_it_was(tmp_path, error, old):
    if old:
        write(tmp_path / "out", a="1")
    with pytest.raises(error):
        write_half(tmp_path / "out", error)
    assert os.listdir(tmp_path) == (["out"] if old else [])
    if old:
        assert content(tmp_path / "out") == {"a": "1", MARKER: ""}


def test_failing_between_the_two_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    write(tmp_path / "out", a="1")
    rename = os.rename

    def fails_for_the_new_one(source, target):
        if Path(source).name == "new":
            raise OSError(5, "Input/output error")
        rename(source, target)

    # Only the operating system can fail here.
    monkeypatch.setattr(os, "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "out", a="2")
    assert content(tmp_path / "out") == {"a": "1", MARKER: ""}
    assert os.listdir(tmp_path) == ["out"]


def test_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    write(tmp_path / "real", a="1")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    write(tmp_path / "out", a="2")
    assert content(tmp_path / "real") == {"a": "1", MARKER: ""}
    assert content(tmp_path / "out") == {"a": "2", MARKER: ""}


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"thesis: it holds other things .there is no made\.txt"):
        write(tmp_path / "thesis")
    assert content(tmp_path / "thesis") == {"chapter1.tex": "years of work"}


def test_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError, match="out: a file of that name exists"):
        write(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_link_to_nowhere_is_refused(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="out: a file of that name exists"):
        check_folder(tmp_path / "out", MARKER)


def test_missing_parent_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path}/absent; make it first"):
        write(tmp_path / "absent" / "out")
    assert os.listdir(tmp_path) == []


def test_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*/file; make it first"):
        write(tmp_path / "file" / "out")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder in which even root cannot write")
def test_unwritable_parent_is_refused():
    with pytest.raises(PermissionError, match=r"cannot write into /proc .*; choose another"):
        check_folder("/proc/out", MARKER)


def test_checking_leaves_no_trace(tmp_path):
    assert check_folder(tmp_path / "out", MARKER) == tmp_path / "out"
    assert os.listdir(tmp_path) == []


def test_whole_file_replaces(tmp_path):
    for content in (b"old", b"new"):
        with whole_file(tmp_path / "file") as file:
            file.write(content)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]
    (tmp_path / "plain").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_failing_whole_file_leaves_the_old_one(tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def write_half_a_file():
        with whole_file(tmp_path / "file") as file:
            file.write(b"ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half_a_file()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_whole_file_names_a_missing_folder(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"cannot write 'file' into the folder '.*absent'"),
        whole_file(tmp_path / "absent" / "file"),
    ):
        pass
    assert os.listdir(tmp_path) == []
