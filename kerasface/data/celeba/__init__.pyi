from .files import CelebA as CelebA
from .files import read_celeba as read_celeba
