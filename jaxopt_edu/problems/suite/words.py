"""Vectors of words, learned by telling words that stand together from words that do not."""

import re
from collections import Counter
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxopt_edu.problems.problem import Problem, named_by_arguments
from jaxopt_edu.problems.suite.library import library_text
from jaxopt_edu.problems.suite.pieces import Parts, judged_by

WINDOW, STRANGERS = 2, 4


class Pairs(NamedTuple):
    """Words, one that stands near each, and some that need not.

    Attributes:
        word: int32 array of shape (n,).
        near: of the same shape.
        strangers: of shape (n, 4).
    """

    word: jax.Array
    near: jax.Array
    strangers: jax.Array


class Corpus(NamedTuple):
    """A text as numbers of words, and how often strangers are drawn.

    Attributes:
        text: int32 array, a number for each word.
        thresholds: float32 array, the shares of words for strangers, added up.
    """

    text: jax.Array
    thresholds: jax.Array


@named_by_arguments
def words(*, vocabulary: int = 500, dimension: int = 16) -> Problem:
    """Skip-gram with negative samples.

    Args:
        vocabulary: how many of the commonest words; the rest is left out of the text.
        dimension: numbers in a word's vector.

    Returns:
        The problem; its metric is the loss of a pair with four strangers, in nats.
    """
    found = re.findall("[a-z]+", library_text().lower())
    common = [word for word, _ in Counter(found).most_common(vocabulary)]
    number = {word: place for place, word in enumerate(common)}
    text = np.array([number[word] for word in found if word in number], np.int32)
    frequencies = np.bincount(text, minlength=vocabulary) ** 0.75
    thresholds = np.cumsum(frequencies) / np.sum(frequencies)
    ends = (len(text) * 8 // 10, len(text) * 9 // 10)
    corpora = Parts(
        *(Corpus(jnp.asarray(part), jnp.asarray(thresholds, jnp.float32)) for part in np.split(text, ends))
    )
    keys = jax.random.split(jax.random.key(0), 2)
    judges = [draw_pairs(corpus, key, count=2048) for corpus, key in zip(corpora[1:], keys, strict=True)]

    def init(key: jax.Array) -> dict[str, jax.Array]:
        # Contexts begin at 0, so that every pair has even chances, and words with a direction each.
        first = jax.random.uniform(key, (vocabulary, dimension), minval=-0.5, maxval=0.5) / dimension
        return {"words": first, "contexts": jnp.zeros((vocabulary, dimension))}

    return Problem(
        why="A gradient is zero for all words but a few, and rare words are seen a few times in a run.",
        init=init,
        loss=negative_sampling,
        data=Partial(partial(draw_pairs, count=256), corpora.train),
        evaluate=judged_by(negative_sampling, Parts(None, *judges)),
        steps=500,
        trivial=float((1 + STRANGERS) * np.log(2)),
        trivial_is="even chances for every pair",
        reference="Mikolov et al. 2013, arXiv:1310.4546",
    )


def draw_pairs(corpus: Corpus, key: jax.Array, *, count: int) -> Pairs:
    """Pairs from anywhere in a text, each drawn independently."""
    places, offsets, signs, strangers = jax.random.split(key, 4)
    place = jax.random.randint(places, (count,), WINDOW, len(corpus.text) - WINDOW)
    offset = jax.random.randint(offsets, (count,), 1, WINDOW + 1)
    near = place + jnp.where(jax.random.bernoulli(signs, shape=(count,)), offset, -offset)
    chance = jax.random.uniform(strangers, (count, STRANGERS), corpus.thresholds.dtype)
    drawn = jnp.searchsorted(corpus.thresholds, chance, side="right").astype(jnp.int32)
    drawn = jnp.minimum(drawn, len(corpus.thresholds) - 1)
    return Pairs(corpus.text[place], corpus.text[near], drawn)


def negative_sampling(params: dict[str, jax.Array], pairs: Pairs) -> jax.Array:
    """−ln σ(u·v) − Σ ln σ(−u·s) over four strangers, the mean over pairs."""
    word = params["words"][pairs.word]
    near = jnp.sum(word * params["contexts"][pairs.near], axis=-1)
    strange = jnp.einsum("nd,nsd->ns", word, params["contexts"][pairs.strangers])
    return -jnp.mean(jax.nn.log_sigmoid(near) + jax.nn.log_sigmoid(-strange).sum(axis=-1))
