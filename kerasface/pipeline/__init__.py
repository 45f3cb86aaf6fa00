"""Tables to pixels: decoded, augmented, batched ``tf.data`` streams."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["augment", "decode", "mixing"],
    submod_attrs={"stream": ["steps_per_epoch", "stream"]},
)
