"""A recipe and tables to a run folder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit": ["train"],
        "recipe": ["Recipe"],
        "recipes": ["RECIPES", "named_recipe"],
        "run": ["Run"],
    },
)
