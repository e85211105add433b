"""Digits against scikit-learn's own arrays, and MNIST-format folders written here, whole and damaged."""

import gzip
import struct
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
import sklearn.preprocessing

from jaxopt_edu import problems


def write_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "train-images": rng.integers(0, 256, (20, 4, 3), dtype=np.uint8),
        "train-labels": rng.integers(0, 10, 20, dtype=np.uint8),
        "t10k-images": rng.integers(0, 256, (7, 4, 3), dtype=np.uint8),
        "t10k-labels": rng.integers(0, 10, 7, dtype=np.uint8),
    }


def write_folder(folder, arrays, *, separator="-", ending=""):
    for stem, array in arrays.items():
        write_idx(folder / f"{stem}{separator}idx{array.ndim}-ubyte{ending}", array)


def standardised_by_scikit_learn(train, test):
    scaler = sklearn.preprocessing.StandardScaler().fit(train)
    return [np.asarray(scaler.transform(pixels)) for pixels in (train, test)]


@pytest.fixture
def folder(tmp_path, arrays):
    write_folder(tmp_path, arrays)
    return tmp_path


@pytest.fixture(scope="module")
def digits():
    return problems.digits()


class TestDigits:
    def test_shapes_and_dtypes(self, digits):
        assert digits.classes == 10
        for examples, count in ((digits.train, 1437), (digits.test, 360)):
            assert examples.inputs.shape == (count, 64)
            assert examples.inputs.dtype == jnp.float32
            assert examples.labels.shape == (count,)
            assert examples.labels.dtype == jnp.int32

    def test_dtypes_stay_narrow_in_64_bit_mode(self, x64):
        data = problems.digits()
        assert data.train.inputs.dtype == jnp.float32
        assert data.train.labels.dtype == jnp.int32

    def test_classes_have_equal_shares(self, digits):
        shares = [np.bincount(part.labels, minlength=10) / len(part.labels) for part in digits[:2]]
        # Shares can agree no better than to one example of the smaller part.
        np.testing.assert_allclose(shares[0], shares[1], atol=1 / 360)

    def test_pixels_are_scikit_learns_standardised_by_its_own_scaler(self, digits):
        pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
        pixels, labels = np.asarray(pixels), np.asarray(labels)
        train_rows, test_rows = self.rows(digits, pixels, labels)
        expected = standardised_by_scikit_learn(pixels[train_rows], pixels[test_rows])
        np.testing.assert_allclose(digits.train.inputs, expected[0], atol=2e-5)
        np.testing.assert_allclose(digits.test.inputs, expected[1], atol=2e-5)
        np.testing.assert_array_equal(digits.train.labels, labels[train_rows])
        np.testing.assert_array_equal(digits.test.labels, labels[test_rows])

    @staticmethod
    def rows(digits, pixels, labels):
        """Give the row of scikit-learn's table that each example is: each of the 1797 exactly once."""
        # Whatever shift and scale a pixel was given, over all rows its least value and its spread undo them.
        inputs = np.concatenate([digits.train.inputs, digits.test.inputs])
        informative = inputs.std(axis=0) > 0
        scale = pixels.std(axis=0)[informative] / inputs.std(axis=0)[informative]
        restored = inputs[:, informative] * scale
        restored = np.rint(restored - restored.min(axis=0) + pixels[:, informative].min(axis=0))
        where = {tuple(row): index for index, row in enumerate(pixels[:, informative])}
        rows = np.array([where[tuple(row)] for row in restored])
        assert sorted(rows) == list(range(len(labels)))
        return rows[:1437], rows[1437:]

    def test_training_pixels_have_mean_0_and_std_1_or_are_constant(self, digits):
        inputs = np.asarray(digits.train.inputs, np.float64)
        np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-6)
        std = inputs.std(axis=0)
        constant = std == 0
        np.testing.assert_allclose(std[~constant], 1, atol=1e-6)
        assert 0 < constant.sum() < 10
        assert not inputs[:, constant].any()
        assert np.isfinite(digits.test.inputs).all()

    def test_seed_decides_the_split(self, digits):
        again, other = problems.digits(seed=0), problems.digits(seed=1)
        np.testing.assert_array_equal(again.test.inputs, digits.test.inputs)
        assert (np.asarray(other.test.labels) != np.asarray(digits.test.labels)).any()

    def test_default_split_never_changes(self, digits):
        assert digits.test.labels[:12].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]

    def test_missing_scikit_learn_names_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(ImportError, match=r'pip install "jaxopt-edu\[data\]"'):
            problems.digits()


class TestMnist:
    @pytest.mark.parametrize("separator", ["-", "."])
    @pytest.mark.parametrize("ending", ["", ".gz"])
    def test_files_are_found_under_each_spelling(self, tmp_path, arrays, separator, ending):
        write_folder(tmp_path, arrays, separator=separator, ending=ending)
        data = problems.mnist(tmp_path)
        np.testing.assert_array_equal(data.train.labels, arrays["train-labels"])
        np.testing.assert_array_equal(data.test.labels, arrays["t10k-labels"])

    def test_images_are_rows_standardised_by_the_training_images(self, folder, arrays):
        data = problems.mnist(folder)
        train = arrays["train-images"].reshape(20, 12).astype(np.float64)
        test = arrays["t10k-images"].reshape(7, 12).astype(np.float64)
        expected = standardised_by_scikit_learn(train, test)
        np.testing.assert_allclose(data.train.inputs, expected[0], atol=1e-5)
        np.testing.assert_allclose(data.test.inputs, expected[1], atol=1e-5)
        assert data.classes == 10

    def test_pixel_that_is_constant_in_training_is_only_centred(self, tmp_path, arrays):
        arrays["train-images"][:, 0, 0] = 200
        arrays["t10k-images"][:, 0, 0] = 203
        write_folder(tmp_path, arrays)
        data = problems.mnist(tmp_path)
        np.testing.assert_array_equal(data.train.inputs[:, 0], np.zeros(20))
        np.testing.assert_array_equal(data.test.inputs[:, 0], np.full(7, 3.0))

    def test_dtypes_stay_narrow_in_64_bit_mode(self, x64, folder):
        data = problems.mnist(str(folder))
        assert data.train.inputs.dtype == jnp.float32
        assert data.train.labels.dtype == jnp.int32

    def test_decompressed_file_goes_first(self, folder, arrays):
        (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"not read")
        np.testing.assert_array_equal(problems.mnist(folder).train.labels, arrays["train-labels"])

    def test_missing_folder_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="absent: there is no such folder"):
            problems.mnist(tmp_path / "absent")

    @pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"])
    def test_missing_file_is_named(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"there is no {name} .*{name}.gz"):
            problems.mnist(folder)

    def test_damaged_file_is_named(self, folder):
        with (folder / "t10k-images-idx3-ubyte").open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: .*trailing bytes"):
            problems.mnist(folder)

    def test_images_and_labels_in_each_others_place_are_named(self, folder, arrays):
        write_idx(folder / "train-images-idx3-ubyte", arrays["train-labels"])
        with pytest.raises(ValueError, match="train-images-idx3-ubyte: expected an array with 3 axes"):
            problems.mnist(folder)

    @pytest.mark.parametrize("part", ["train", "t10k"])
    def test_different_counts_are_named(self, folder, arrays, part):
        labels = arrays[f"{part}-labels"]
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels[:-1])
        message = f"{part}-labels-idx1-ubyte: .* holds {len(labels)} images, but this file {len(labels) - 1} "
        with pytest.raises(ValueError, match=message):
            problems.mnist(folder)

    def test_label_out_of_range_is_named(self, folder, arrays):
        arrays["train-labels"][4] = 10
        write_idx(folder / "train-labels-idx1-ubyte", arrays["train-labels"])
        with pytest.raises(ValueError, match="labels from 0 to 9, found 10 at index 4"):
            problems.mnist(folder)

    def test_different_image_sizes_are_named(self, folder, arrays):
        write_idx(folder / "t10k-images-idx3-ubyte", arrays["t10k-images"][:, :, :2])
        with pytest.raises(ValueError, match=r"shape \(4, 3\), but the test images \(4, 2\)"):
            problems.mnist(folder)


def test_import_computes_nothing_and_needs_no_extra(monkeypatch):
    # On a platform that does not exist the first computation would fail.
    monkeypatch.setenv("JAX_PLATFORMS", "nowhere")
    code = (
        "import sys, jaxopt_edu.problems\n"
        "print([name for name in ('sklearn', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
