from .recipe import Recipe as Recipe
from .recipes import RECIPES as RECIPES
from .recipes import named_recipe as named_recipe
from .run import Run as Run
