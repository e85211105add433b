"""The benchmarks' models in torch: the same arithmetic, from the same parameters."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

RATE = 1e-3


def device() -> str:
    """Where torch works: on the GPU if JAX does, and torch was built for it."""
    import torch

    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Wait for what torch has begun."""
    import torch

    if device() == "cuda":
        torch.cuda.synchronize()


def train_mlp(params: Any, batches: list[Any]) -> float:
    """Train the MLP eagerly with the fused Adam; returns the last loss."""
    import torch

    layers = [[_parameter(layer.weight), _parameter(layer.bias)] for layer in params]

    def loss_of(batch: Any) -> Any:
        x = torch.tensor(batch.inputs, device=device())
        for weight, bias in layers[:-1]:
            x = torch.relu(torch.addmm(bias, x, weight))
        logits = torch.addmm(layers[-1][1], x, layers[-1][0])
        return torch.nn.functional.cross_entropy(logits, torch.tensor(batch.labels, device=device()).long())

    return _descend([each for layer in layers for each in layer], loss_of, batches)


def train_transformer(model: Any) -> Callable[[Any, list[np.ndarray]], float]:
    """A function that trains the transformer of the example module `model`."""

    def train(params: Any, batches: list[np.ndarray]) -> float:
        import torch

        weights = jax.tree.map(_parameter, params)
        angles = np.outer(
            np.arange(model.CONTEXT), 100.0 ** -np.linspace(0.0, 1.0, model.WIDTH // model.HEADS // 2)
        )
        cosine, sine = (torch.from_numpy(f(angles).astype(np.float32)).to(device()) for f in (np.cos, np.sin))

        def normed(scale: Any, x: Any) -> Any:
            return torch.nn.functional.layer_norm(x, (model.WIDTH,), scale, None, 1e-5)

        def rotated(x: Any) -> Any:
            first, second = x.chunk(2, dim=-1)
            return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)

        def attention(block: Any, x: Any) -> Any:
            batch, length, _ = x.shape
            parts = (x @ block["queries_keys_values"]).view(batch, length, 3, model.HEADS, -1)
            queries, keys, values = parts.permute(2, 0, 3, 1, 4)
            attended = torch.nn.functional.scaled_dot_product_attention(
                rotated(queries), rotated(keys), values, is_causal=True
            )
            return attended.transpose(1, 2).reshape(x.shape) @ block["attention_out"]

        def loss_of(text: np.ndarray) -> Any:
            characters = torch.tensor(text, device=device()).long()
            x = weights["embedding"][characters[:, :-1]]
            for block in weights["blocks"]:
                x = x + attention(block, normed(block["attention_norm"], x))
                hidden = torch.nn.functional.gelu(
                    normed(block["hidden_norm"], x) @ block["hidden_in"], approximate="tanh"
                )
                x = x + hidden @ block["hidden_out"]
            logits = normed(weights["last_norm"], x) @ weights["logits"]
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1), characters[:, 1:].flatten())

        return _descend(jax.tree.leaves(weights), loss_of, batches)

    return train


def _parameter(array: np.ndarray) -> Any:
    import torch

    return torch.tensor(np.array(array), requires_grad=True, device=device())


def _descend(parameters: list[Any], loss_of: Callable[[Any], Any], batches: list[Any]) -> float:
    import torch

    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
    loss = torch.tensor(math.nan)
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(batch)
        loss.backward()
        optimizer.step()
    return float(loss.detach())
