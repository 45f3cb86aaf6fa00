"""Tables to pixels: decoded, augmented, batched ``tf.data`` streams."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
