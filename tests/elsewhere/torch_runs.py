"""Rows of examples/coming_from.md as torch runs them."""

from typing import Any

import numpy as np
import pytest

from tests.elsewhere.network import (
    HIDDEN,
    INPUTS,
    OUTPUTS,
    Run,
    batches,
    first_params,
    run_statements,
    statements,
)


def run(cell: list[str]) -> Run:
    """Train with what a cell says: an optimizer, or statements about the model and its optimizers."""
    torch = pytest.importorskip("torch")
    from torch.optim import lr_scheduler, swa_utils

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Linear(INPUTS, HIDDEN, dtype=torch.float64)
            self.head = torch.nn.Linear(HIDDEN, OUTPUTS, dtype=torch.float64)

        def forward(self, inputs: Any) -> Any:
            return self.head(torch.tanh(self.body(inputs)))

    model = Network()
    first = {
        f"{layer}.{name}": leaf for layer, leaves in first_params().items() for name, leaf in leaves.items()
    }
    model.load_state_dict({name: torch.tensor(leaf) for name, leaf in first.items()})
    names: dict[str, Any] = vars(torch.optim) | vars(lr_scheduler) | vars(swa_utils)
    names |= {"clip_grad_norm_": torch.nn.utils.clip_grad_norm_}
    names |= {"clip_grad_value_": torch.nn.utils.clip_grad_value_}
    names |= {"model": model, "params": list(model.parameters())}
    names |= {"weights": [model.body.weight, model.head.weight], "biases": [model.body.bias, model.head.bias]}
    once, every_step = statements(cell)
    run_statements(once, names)
    if not once:
        names["opt"] = eval(every_step.pop(0), names)
    if not any(".step()" in statement for statement in every_step):
        every_step = ["opt.step()", *every_step]
    theirs_to_call = any(".backward()" in statement for statement in every_step)
    losses = []
    for step, batch in enumerate(batches()):
        inputs, targets = map(torch.tensor, batch)
        loss = torch.mean((model(inputs) - targets) ** 2)
        if not theirs_to_call:
            model.zero_grad()
            loss.backward()
        names |= {"loss": loss, "step": step}
        run_statements(every_step, names)
        losses.append(float(loss.detach()))
    shown = names["average"].module if "average" in names else model
    leaves = {name: leaf.detach().numpy() for name, leaf in shown.named_parameters()}
    layers = {
        layer: {name: leaves[f"{layer}.{name}"] for name in ("weight", "bias")} for layer in first_params()
    }
    return Run(np.array(losses), layers)
