"""JSON with a checksum, and lists of checksums."""

import subprocess

import pytest

from jaxopt_edu.files import MANIFEST, check_manifest, list_checksums, open_json, seal_json

CONTENT = {"value": 0.908, "rates": [0.5, 1e-300, float("inf")], "name": "µ", "none": None}


def test_every_bit_of_sealed_json():
    text = bytearray(seal_json(CONTENT, 2))
    assert open_json(bytes(text), 2) == CONTENT
    refused = 0
    for bit in range(8 * len(text)):
        text[bit // 8] ^= 1 << bit % 8
        try:
            assert open_json(bytes(text), 2) == CONTENT
        except ValueError:
            refused += 1
        text[bit // 8] ^= 1 << bit % 8
    assert refused > 0.95 * 8 * len(text)


def test_indented_json_is_the_same():
    assert open_json(seal_json(CONTENT, 2, indent=1), 2) == CONTENT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (seal_json(CONTENT, 3), "of format 3, and this jaxopt_edu reads formats up to 2"),
        (b"[1]", "a JSON list, not an object"),
        (b"{", "no JSON"),
        (b'{"a":' * 50_000, "no JSON"),
        (b"\xff", "no JSON"),
    ],
)
def test_what_it_is_not(text, message):
    with pytest.raises(ValueError, match=message):
        open_json(text, 2)


def test_format_1_had_neither():
    assert open_json(b'{"steps": 3}', 2) == {"steps": 3}


def test_the_list_is_that_of_sha256sum(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / MANIFEST).write_bytes(list_checksums(tmp_path, ["table.csv"]))
    subprocess.run(["sha256sum", "--strict", "-c", MANIFEST], cwd=tmp_path, check=True, capture_output=True)
    assert check_manifest(tmp_path, ["table.csv"]) == {}
    assert "not listed" in check_manifest(tmp_path, ["summary.txt"])["summary.txt"]
    (tmp_path / "table.csv").write_text("a,b\n1,3\n")
    assert "has changed" in check_manifest(tmp_path, ["table.csv"])["table.csv"]
    (tmp_path / "table.csv").unlink()
    assert "is missing" in check_manifest(tmp_path, ["table.csv"])["table.csv"]
