"""Photographs to faces: found, turned upright, cut out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": ["align", "cut", "similarity", "square_box", "template"],
        "cropping": ["crop", "read_crops"],
        "detection": ["detect", "list_detectors", "load_detector", "overlap"],
        "face": ["Face"],
        "pictures": ["contact_sheet", "draw_faces"],
        "retinaface": ["retinaface_detector"],
    },
)
