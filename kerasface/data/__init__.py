"""Tables of images and labels: from folders, from CelebA, or of drawn faces."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
