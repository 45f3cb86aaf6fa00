from .recipe import Recipe as Recipe
from .recipe_changes import parse_changes as parse_changes
from .recipes import RECIPES as RECIPES
from .recipes import named_recipe as named_recipe
from .run import Run as Run
