"""Real data to classify: the digits that come with scikit-learn, and MNIST-format files the user has."""

import os
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core.arguments import checked_path
from jaxopt_edu.core.checks import checked_whole
from jaxopt_edu.problems.idx import read_idx

CLASSES = 10
"""Ten digits, or ten kinds of clothing: every MNIST-format set has the labels 0 to 9."""


class Examples(NamedTuple):
    """Inputs and what they are labelled with; a batch is one of these with fewer rows.

    Attributes:
        inputs: float32 array of shape (n, features).
        labels: int32 array of shape (n,).
    """

    inputs: jax.Array
    labels: jax.Array


class Dataset(NamedTuple):
    """Examples to train on, and others to judge by.

    Attributes:
        train: the examples to train on.
        test: the examples held out.
        classes: the number of classes; labels run from 0 to `classes` − 1.
    """

    train: Examples
    test: Examples
    classes: int


def digits(*, seed: int = 0) -> Dataset:
    """Give the 8×8 handwritten digits of scikit-learn, standardised.

    Every pixel becomes (pixel − mean) / std with the mean and the standard deviation it has over the training
    examples; a pixel that is constant there is only centred.

    Args:
        seed: decides which examples are held out; the same seed always holds out the same.

    Returns:
        1437 training and 360 test examples of 64 features, with the ten classes in equal shares.

    Raises:
        ImportError: scikit-learn is not installed.

    Example:
        >>> import jaxopt_edu.problems as problems
        >>> data = problems.digits()
        >>> data.train.inputs.shape, data.test.inputs.shape, data.classes
        ((1437, 64), (360, 64), 10)

    References:
        E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
        Repository, 1998.
    """
    seed = checked_whole("digits", "seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"digits: seed = {seed} is too large; it is below 2**32.")
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError(
            "jaxopt_edu.problems.digits reads its data from scikit-learn, which is not installed: "
            'pip install "jaxopt-edu[data]"'
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    train_pixels, test_pixels, train_labels, test_labels = map(
        np.asarray, train_test_split(pixels, labels, test_size=360, stratify=labels, random_state=seed)
    )
    return _standardised(train_pixels, train_labels, test_pixels, test_labels)


def mnist(path: str | os.PathLike[str]) -> Dataset:
    """Read MNIST, Fashion-MNIST or another set in the same four files, standardised as `digits` is.

    The folder has to hold `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`. Each may also be written with a dot (`train-images.idx3-ubyte`), and each may be
    compressed, with `.gz` after its name. Where several of these exist, the decompressed file is read.

    Args:
        path: the folder.

    Returns:
        The images as rows of rows × columns features, and their labels from 0 to 9.

    Raises:
        FileNotFoundError: the folder or one of the four files is missing.
        ValueError: a file is damaged, or the files do not belong together.

    Example:
        >>> import jaxopt_edu.problems as problems
        >>> problems.mnist("not/here")
        Traceback (most recent call last):
        ...
        FileNotFoundError: not/here: there is no such folder; give the one that holds the four MNIST files.

    References:
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
        recognition", 1998.
    """
    folder = checked_path("mnist", "path", path, "a folder")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: there is no such folder; give the one that holds the four MNIST files."
        )
    train_images, train_labels = _images_and_labels(folder, "train")
    test_images, test_labels = _images_and_labels(folder, "t10k")
    if train_images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            f"{folder}: the training images have shape {train_images.shape[1:]}, but the test images "
            f"{test_images.shape[1:]}; use four files of the same data set."
        )
    return _standardised(
        train_images.reshape(len(train_images), -1),
        train_labels,
        test_images.reshape(len(test_images), -1),
        test_labels,
    )


def _images_and_labels(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images_path = _find(folder, f"{part}-images", "idx3-ubyte")
    labels_path = _find(folder, f"{part}-labels", "idx1-ubyte")
    images = read_idx(images_path, axes=3)
    labels = read_idx(labels_path, axes=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path}: {images_path.name} holds {len(images)} images, but this file {len(labels)} "
            "labels; use two files of the same data set."
        )
    outside = np.flatnonzero(labels >= CLASSES)
    if outside.size:
        raise ValueError(
            f"{labels_path}: expected labels from 0 to {CLASSES - 1}, found {labels[outside[0]]} at index "
            f"{outside[0]}; use labels of ten classes, counted from 0."
        )
    return images, labels


def _find(folder: Path, stem: str, ending: str) -> Path:
    names = [f"{stem}-{ending}", f"{stem}.{ending}", f"{stem}-{ending}.gz", f"{stem}.{ending}.gz"]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder}: there is no {names[0]} (nor {', '.join(names[1:])}); put the file there, or give the "
        "folder that holds it."
    )


def _standardised(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> Dataset:
    mean = train.mean(axis=0, dtype=np.float64)
    std = train.std(axis=0, dtype=np.float64)
    scale = np.where(std > 0, std, 1.0)

    def examples(pixels: np.ndarray, labels: np.ndarray) -> Examples:
        # In float32 from the start: in float64 the 60,000 images of MNIST would take 376 MB per temporary.
        inputs = (pixels.astype(np.float32) - mean.astype(np.float32)) / scale.astype(np.float32)
        return Examples(inputs=jnp.asarray(inputs), labels=jnp.asarray(labels.astype(np.int32)))

    return Dataset(train=examples(train, train_labels), test=examples(test, test_labels), classes=CLASSES)
