"""The trees of parameters that optimizers are timed on."""

from collections.abc import Iterator

Shape = tuple[int, ...]


def resnet50() -> Iterator[Shape]:
    """The leaves of ResNet-50 (He et al. 2015, arXiv:1512.03385), batch norms included."""

    def convolution(size: int, inputs: int, outputs: int) -> Iterator[Shape]:
        yield from ((size, size, inputs, outputs), (outputs,), (outputs,))

    yield from convolution(7, 3, 64)
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            yield from convolution(1, inputs, width)
            yield from convolution(3, width, width)
            yield from convolution(1, width, 4 * width)
            if block == 0:
                yield from convolution(1, inputs, 4 * width)
            inputs = 4 * width
    yield from ((inputs, 1000), (1000,))


def gpt2_small() -> Iterator[Shape]:
    """The leaves of GPT-2 small (Radford et al. 2019); the output layer shares the tokens' embedding."""
    width = 768
    yield from ((50257, width), (1024, width))
    for _ in range(12):
        for inputs, outputs in ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)):
            yield from ((inputs, outputs), (outputs,))
        yield from [(width,)] * 4  # two layer norms
    yield from [(width,)] * 2


TREES: dict[str, list[Shape]] = {
    "1 × 10⁷": [(10**7,)],
    "10 × 10⁶": [(10**6,)] * 10,
    "100 × 10⁴": [(10**4,)] * 100,
    "1,000 × 10³": [(10**3,)] * 1000,
    "ResNet-50": list(resnet50()),
    "GPT-2 small": list(gpt2_small()),
}

Tree = dict[str, Shape]


def narrow_gpt2(width: int = 96, blocks: int = 4, tokens: int = 6000) -> Iterator[tuple[str, Shape]]:
    """A GPT-2 (see above) of an eighth of the width and a third of the depth, with names."""
    yield from (("embedding", (tokens, width)), ("positions/embedding", (256, width)))
    for block in range(blocks):
        for name, inputs, outputs in (
            ("attention/in", width, 3 * width),
            ("attention/out", width, width),
            ("hidden/in", width, 4 * width),
            ("hidden/out", 4 * width, width),
        ):
            yield from (
                (f"{block}/{name}/kernel", (inputs, outputs)),
                (f"{block}/{name}/bias", (outputs,)),
            )
        for norm in ("first", "second"):
            yield from ((f"{block}/{norm}_norm/scale", (width,)), (f"{block}/{norm}_norm/bias", (width,)))
    yield from (("last_norm/scale", (width,)), ("last_norm/bias", (width,)))


SMALL_LEAVES: Tree = {f"layer{number:03}/kernel": (25, 40) for number in range(200)}
