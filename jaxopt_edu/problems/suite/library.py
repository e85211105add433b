"""The text that problems of language are about: this library's own words, as they once were."""

import hashlib
from importlib.resources import files

SHA256 = "c44a7cb90db31ae7594719aa6db073c75127e354f2421fb8be3923469997f41d"


def library_text() -> str:
    """300,000 characters about optimizers: READMEs and docstrings of this library.

    Each paragraph stands there once. The text is a copy and never changes, though they do.

    Returns:
        The text, with 162 different characters.

    Raises:
        ValueError: the file is another one, and results on it could not be compared.

    >>> len(library_text()), len(set(library_text()))
    (299981, 162)
    """
    content = files("jaxopt_edu.problems.suite").joinpath("library.txt").read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(
            "jaxopt_edu/problems/suite/library.txt is not the text that problems were made for: install the "
            "package again."
        )
    return content.decode("utf-8")
