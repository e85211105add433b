"""Going on with another optimizer or other data is noticed, and done only when told."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.training import identity

KEY = jax.random.key(0)
DATA = np.arange(12, dtype=np.float32)
SCHEDULE = jo.schedules.exponential(0.1, rate=0.5, steps=100)


def fit(optimizer, data=DATA, **options):
    return jo.fit(
        lambda w, batch: jnp.mean((w - batch) ** 2),
        jnp.zeros(()),
        optimizer,
        data,
        every=2,
        key=KEY,
        **options,
    )


def shifted(by):
    return lambda key: jax.random.normal(key, (3,)) + by


CASES = {
    "a number": (jo.sgd(0.1), jo.sgd(0.2), DATA, DATA, r"learning_rate was 0\.1 and is 0\.2"),
    "in a schedule": (
        jo.sgd(SCHEDULE),
        jo.sgd(jo.schedules.exponential(0.1, rate=0.5, steps=200)),
        DATA,
        DATA,
        r"learning_rate\.steps was 100\.0 and is 200\.0",
    ),
    "hidden": (optax.sgd(0.1), optax.sgd(0.2), DATA, DATA, "cannot be seen, computes something else"),
    "another optimizer": (jo.momentum(0.1), jo.nesterov(0.1), DATA, DATA, "another run|MomentumState"),
    "one value": (jo.sgd(0.1), jo.sgd(0.1), DATA, np.where(DATA == 5, 6, DATA), r"data was float32\[12\]"),
    "more examples": (jo.sgd(0.1), jo.sgd(0.1), DATA, np.arange(13.0), r"and is float\d\d\[13\]"),
    "another function": (jo.sgd(0.1), jo.sgd(0.1), shifted(0.0), shifted(1.0), "of the data computes"),
    "another kind": (jo.sgd(0.1), jo.sgd(0.1), DATA, shifted(0.0), r"data was float32\[12\].* is a function"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_told_and_made_only_when_allowed(case, tmp_path):
    first, second, data, other, message = CASES[case]
    fit(first, data, steps=2, checkpoint=tmp_path / "run")
    same = fit(
        first, data, steps=4, checkpoint=shutil.copytree(tmp_path / "run", tmp_path / "same"), resume=True
    )
    assert len(same.history.losses) == 4
    with pytest.raises(ValueError, match=message) as caught:
        fit(second, other, steps=4, checkpoint=tmp_path / "run", resume=True)
    if "MomentumState" not in str(caught.value):
        assert "allow_changes=True" in str(caught.value)
        changed = fit(second, other, steps=4, checkpoint=tmp_path / "run", resume=True, allow_changes=True)
        assert len(changed.history.losses) == 4


def test_large_data_is_known_by_some_of_its_rows(monkeypatch):
    monkeypatch.setattr(identity, "WHOLE", 100)
    monkeypatch.setattr(identity, "ROWS", 4)

    def checksum(data):
        return identity._checksum([data])

    large = np.arange(100.0)
    seen, unseen = large.copy(), large.copy()
    seen[33], unseen[34] = -1, -1
    assert checksum(seen) != checksum(large) == checksum(unseen)
