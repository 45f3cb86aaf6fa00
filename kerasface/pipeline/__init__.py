"""Tables to pixels: decoded, augmented, batched ``tf.data`` streams."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submodules=["augment", "decode", "mixing"],
    submod_attrs={"streams": ["steps_per_epoch", "stream"]},
)
