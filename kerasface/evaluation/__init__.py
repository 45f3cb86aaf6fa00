"""Labels and predictions to numbers, figures and submissions; knows nothing of training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "attribute_plots",
        "attribute_words",
        "attributes",
        "classification",
        "identification",
        "plots",
        "report",
        "submission",
        "verification",
        "verification_plots",
    ],
)
