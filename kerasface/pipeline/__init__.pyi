from . import augment as augment
from . import decode as decode
from . import mixing as mixing
from .crop import Crop as Crop
from .settings import steps_per_epoch as steps_per_epoch
from .streams import stream as stream
