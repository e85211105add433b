"""What trains biases, norms, embeddings and heads, unless an optimizer for matrices is told otherwise."""

from jaxopt_edu.optimizers.adaptive.adamw import adamw

# Without decay, as in Muon's official code and in optax.
OTHERS = adamw(learning_rate=0.001, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.0)
