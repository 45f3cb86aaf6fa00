from .tables import CelebA as CelebA
from .tables import is_celeba as is_celeba
from .tables import read_celeba as read_celeba
