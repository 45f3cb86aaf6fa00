from .registry import detect as detect
from .registry import list_detectors as list_detectors
from .registry import load_detector as load_detector
from .registry import overlap as overlap
from .registry import register_detector as register_detector
from .retinaface import retinaface_detector as retinaface_detector
