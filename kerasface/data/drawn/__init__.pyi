from .celeba import drawn_celeba as drawn_celeba
from .faces import DrawnFace as DrawnFace
from .faces import DrawnScene as DrawnScene
from .faces import draw_face as draw_face
from .faces import draw_scene as draw_scene
from .faces import drawn_faces as drawn_faces
