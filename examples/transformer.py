"""A character transformer in plain JAX, trained on the source text of this very package.

Two blocks of causal attention, 0.4 million parameters, with clipping, warm-up and a cosine around Adam. The
last tenth of the text is held out. On it the loss falls from 4.9 nats per character (all are alike) to below
1.5 in the default 1000 steps; counts of pairs of characters would give 2.6. About three minutes on two cores.

Run: python examples/transformer.py   (or fewer steps: python examples/transformer.py --steps 100)
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

import jaxopt_edu as jo

WIDTH, HEADS, BLOCKS, CONTEXT, BATCH_SIZE = 128, 4, 2, 128, 16


def repository_text():
    repository = Path(__file__).parents[1]
    files = [repository / "README.md", *sorted(repository.glob("jaxopt_edu/**/*.py"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def init(key, characters, width=WIDTH):
    keys = iter(jax.random.split(key, 2 + 4 * BLOCKS))

    def matrix(rows, columns, scale=1.0):
        return scale * rows**-0.5 * jax.random.normal(next(keys), (rows, columns))

    def block():
        small = (2 * BLOCKS) ** -0.5  # the residual stream is a sum of so many terms
        return {
            "attention_norm": jnp.ones(width),
            "queries_keys_values": matrix(width, 3 * width),
            "attention_out": matrix(width, width, small),
            "hidden_norm": jnp.ones(width),
            "hidden_in": matrix(width, 4 * width),
            "hidden_out": matrix(4 * width, width, small),
        }

    return {
        "embedding": 0.02 * jax.random.normal(next(keys), (characters, width)),
        "blocks": [block() for _ in range(BLOCKS)],
        "last_norm": jnp.ones(width),
        "logits": matrix(width, characters),
    }


def layer_norm(scale, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return scale * centred / jnp.sqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + 1e-5)


def rotated(x):
    """Turn pairs of features by angles that grow with the position (Su et al. 2021, arXiv:2104.09864)."""
    speeds = 100.0 ** -jnp.linspace(0.0, 1.0, x.shape[-1] // 2)
    angles = jnp.outer(jnp.arange(x.shape[1]), speeds)[:, None]
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def attention(block, x):
    """What each character takes over from those before it; x of shape (batch, length, width)."""
    shape = (*x.shape[:-1], 3, HEADS, x.shape[-1] // HEADS)
    queries, keys, values = jnp.moveaxis((x @ block["queries_keys_values"]).reshape(shape), -3, 0)
    attended = jax.nn.dot_product_attention(rotated(queries), rotated(keys), values, is_causal=True)
    return attended.reshape(x.shape) @ block["attention_out"]


def apply(params, text):
    """Logits of the next character after each of a batch of texts, shape (batch, length, characters)."""
    x = params["embedding"][text]
    for block in params["blocks"]:
        x = x + attention(block, layer_norm(block["attention_norm"], x))
        hidden = jax.nn.gelu(layer_norm(block["hidden_norm"], x) @ block["hidden_in"])
        x = x + hidden @ block["hidden_out"]
    return layer_norm(params["last_norm"], x) @ params["logits"]


def loss_fn(params, text):
    """Nats per character, given those before it in the window."""
    logits = apply(params, text[:, :-1]).astype(jnp.float32)  # a softmax needs its digits in any precision
    return optax.softmax_cross_entropy_with_integer_labels(logits, text[:, 1:]).mean()


def random_windows(text, key, context=CONTEXT):
    """As many characters as the context, and the one that comes next."""
    starts = jax.random.randint(key, (BATCH_SIZE, 1), 0, len(text) - context)
    return text[starts + jnp.arange(context + 1)]


@jax.jit
def validation_loss(params, windows):
    return jax.lax.map(lambda window: loss_fn(params, window[None]), windows, batch_size=BATCH_SIZE).mean()


@jax.jit
def continuation(params, prompt, keys):
    """What the model writes after a prompt of CONTEXT characters, one character a key."""

    def step(window, key):
        logits = apply(params, window[None])[0, -1]
        character = jax.random.categorical(key, logits / 0.7).astype(window.dtype)
        return jnp.append(window[1:], character), character

    return jax.lax.scan(step, prompt, keys)[1]


def main(steps):
    text = repository_text()
    alphabet, indices = np.unique(list(text), return_inverse=True)
    train, held_out = jnp.split(jnp.asarray(indices, jnp.int32), [len(text) * 9 // 10])
    starts = jnp.arange(0, len(held_out) - CONTEXT, CONTEXT)
    windows = held_out[starts[:, None] + jnp.arange(CONTEXT + 1)]

    params = init(jax.random.key(0), len(alphabet))
    size = sum(map(jnp.size, jax.tree.leaves(params)))
    print(f"{size:,} parameters, {len(train):,} characters to train on, {len(held_out):,} held out")
    optimizer = jo.chain(
        optax.clip_by_global_norm(1.0),
        jo.adam(jo.schedules.warmup_cosine(peak=3e-3, warmup_steps=steps / 10, steps=steps), b2=0.99),
    )
    result = jo.fit(
        loss_fn,
        params,
        optimizer,
        Partial(random_windows, train),
        steps=steps,
        key=jax.random.key(1),
        evaluate=lambda params: validation_loss(params, windows),
        every=max(1, steps // 5),
        callback=lambda moment: print(
            f"after {moment.step} steps: {moment.evaluation['value']:.3f} nats per held-out character"
        ),
    )
    sample = continuation(result.params, held_out[:CONTEXT], jax.random.split(jax.random.key(2), 400))
    print("".join(alphabet[sample]))
    return float(result.history.evaluations["value"][-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    main(parser.parse_args().steps)
