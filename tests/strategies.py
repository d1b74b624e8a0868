"""Random architectures as their YAML files have them, every one of which fits together.

Nothing is filtered: each choice is made among those that the shape at hand allows. An option that is named, as in
`networks(padding="same", stride=(1, 2))`, has that value, or one of these, throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from hypothesis import strategies as st
from sketch import LISTED, WIDTH, Sketch

from dsbench.network.blocks import KINDS, ORDERS, PADDINGS, RESIDUALS, SE_PLACES, Style
from dsbench.network.description import INITS, Network
from dsbench.network.layers import ACTIVATIONS, Shape

BETWEEN = ("max_pool", "avg_pool", "norm", "activation", "dropout")
CHANNELS = (1, 2, 3, 4, 6, 8, 12)
SWITCH = (False, True)


class _Drawing:
    """A sketch while it is drawn: its entries so far, and the shape that they leave."""

    def __init__(self, draw: st.DrawFn, fixed: dict[str, Any]) -> None:
        self.draw, self.fixed = draw, fixed
        self.image: Shape = draw(st.tuples(st.integers(1, 3), st.integers(8, 32), st.integers(8, 32)))
        self.shape = self.image
        self.entries: list[Any] = []
        self.blocks: list[dict[str, Any] | None] = []

    def choose(self, name: str, among: Sequence[Any]) -> Any:
        """One of `among`, and of what `name` is fixed to."""
        fixed = self.fixed.get(name, tuple(among))
        allowed = fixed if isinstance(fixed, tuple) else (fixed,)
        return self.draw(st.sampled_from([value for value in among if value in allowed]))

    def between(self) -> None:
        """A layer that is no conv and leaves an image, or none."""
        kind = self.choose("between", (None, *BETWEEN))
        if kind in ("max_pool", "avg_pool"):
            size = self.draw(st.integers(1, min(3, *self.shape[1:])))
            stride = self.draw(st.sampled_from((None, 1, 2, 3)))
            self.entries.append({kind: {"size": size, "stride": stride} if stride else size})
            self._slide(self.shape[0], size, stride or size)
        elif kind:
            self.entries.append(self._elementwise(kind))

    def conv(self) -> None:
        """A slot, and what fills it."""
        kind = self.choose("kind", ("plain", *KINDS))
        i, *sides = self.shape
        padding = self.choose("padding", PADDINGS)
        kernels = [k for k in (3, 1, 5, 7) if k <= min(self.image[1:] if padding == "same" else sides)]
        kernel, stride = self.choose("kernel", kernels), self.choose("stride", (1, 2, 3))
        o = self.draw(st.just(i) | st.sampled_from(CHANNELS))
        projects = kind != "inverted_residual" and (padding == "same" or kernel == 1)
        options: dict[str, Any] = {
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "residual": self.choose("residual", RESIDUALS if projects else ("none", "identity")),
            "se_ratio": self.choose("se_ratio", (0.0, 0.25, 1)),
            **{name: self.choose(name, SWITCH) for name in ("bias", "norm", "activation")},
        }
        options |= {"channels": o} if self.draw(st.booleans()) else {"width": o / WIDTH}
        self.entries.append({"conv": options})
        self.blocks.append(None if kind == "plain" else self._block(kind, i, o))
        self._slide(o, kernel, stride, kernel // 2 if padding == "same" else 0)

    def head(self) -> int:
        """From an image to logits; returns how many."""
        head = self.choose("head", ("global_avg_pool", "flatten"))
        self.entries.append(head)
        self.shape = (self.shape[0] if head == "global_avg_pool" else prod(self.shape),)
        for features in (*self.draw(st.lists(st.integers(1, 9), max_size=2)), "classes"):
            self.entries.append({"linear": {"features": features, "bias": self.draw(st.booleans())}})
            after = self.draw(st.lists(st.sampled_from(("norm", "activation", "dropout")), max_size=2))
            self.entries += [self._elementwise(kind) for kind in after]
        return self.draw(st.integers(1, 9))

    def _block(self, kind: str, i: int, o: int) -> dict[str, Any]:
        """Options of a block of `kind` between `i` and `o` channels."""
        order = "depthwise_first" if kind == "inverted_residual" else self.choose("order", ORDERS)
        expansion = self.choose("expansion", (1, 1.5, 6.0))
        outwards = order == "pointwise_first"
        multiplier = self.choose("depth_multiplier", [m for m in (1, 2, 3) if not outwards or o % m == 0])
        middle = o // multiplier if outwards else round(i * expansion) if kind == "inverted_residual" else i
        switches = ("depthwise_bias", "pointwise_bias", "norm_between", "activation_between")
        return {
            "kind": kind,
            "order": order,
            "expansion": expansion,
            "depth_multiplier": multiplier,
            "group_size": self.choose("group_size", [g for g in (1, 2, 4, middle) if middle % g == 0]),
            "se_place": self.choose("se_place", SE_PLACES),
            **{name: self.choose(name, SWITCH) for name in switches},
        }

    def _elementwise(self, kind: str) -> Any:
        if kind == "activation":
            return {kind: self.draw(st.none() | st.sampled_from(ACTIVATIONS))}
        if kind == "dropout":
            channelwise = len(self.shape) == 3 and self.draw(st.booleans())
            return {kind: {"p": self.draw(st.sampled_from((0, 0.25))), "channelwise": channelwise}}
        return kind

    def _slide(self, channels: int, size: int, stride: int, margin: int = 0) -> None:
        self.shape = (channels, *((side + 2 * margin - size) // stride + 1 for side in self.shape[1:]))


@st.composite
def sketches(draw: st.DrawFn, max_slots: int = 3, **fixed: Any) -> Sketch:
    """Sketches of one slot up to `max_slots`; `fixed` are options, `kind` (plain too), `head` and `between`."""
    drawing = _Drawing(draw, fixed)
    for _ in range(draw(st.integers(1, max_slots))):
        drawing.between()
        drawing.conv()
    drawing.between()
    classes = drawing.head()
    style = Style(draw(st.just("relu") | st.sampled_from(ACTIVATIONS)))
    entries, blocks = tuple(drawing.entries), tuple(drawing.blocks)
    return Sketch(entries, blocks, style, draw(st.sampled_from(INITS)), drawing.image, classes)


def networks(max_slots: int = 3, **fixed: Any) -> st.SearchStrategy[Network]:
    """The networks of such sketches, options given in the convs or from outside."""
    return st.builds(Sketch.network, sketches(max_slots, **fixed), listed=st.sets(st.sampled_from(LISTED)))
