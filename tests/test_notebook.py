"""The notebook runs as a reader would run it, its figures show, and what is committed is what it gives.

`python -m tests.test_notebook` runs it and writes it back, outputs included.
"""

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

nbformat: Any = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: Any) -> Any:
    """Run all cells in a kernel of its own; an error in one is raised here."""
    from nbclient import NotebookClient

    client = NotebookClient(notebook, kernel_name="python3", timeout=600, record_timing=False)
    client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})
    # Which Python ran it is nobody's business.
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(notebook: Any) -> list[Image.Image]:
    found = [one.data["image/png"] for one in outputs(notebook) if "image/png" in one.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in found]


def texts(notebook: Any) -> list[str]:
    return [one.get("text", "") or one.data["text/plain"] for one in outputs(notebook)]


def test_it_is_committed_with_what_it_gives():
    notebook = read()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.output_type in ("execute_result", "stream") for output in outputs(notebook))
    assert len(pictures(notebook)) == 2
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not any(place in text for place in ("/work", "/root", "/home", "/tmp", "/Users", "site-packages"))


@pytest.mark.slow
def test_run_anew_it_gives_the_same():
    committed, fresh = read(), execute(read())
    assert texts(fresh) == texts(committed)
    assert [picture.size for picture in pictures(fresh)] == [picture.size for picture in pictures(committed)]
    for picture in pictures(fresh):
        colors = picture.getcolors(maxcolors=1 << 24) or []
        assert len(colors) > 100, "an empty picture"


if __name__ == "__main__":
    nbformat.write(execute(read()), NOTEBOOK)
