from .celeba import drawn_celeba as drawn_celeba
from .face import DrawnFace as DrawnFace
from .face import draw_face as draw_face
from .folder import drawn_faces as drawn_faces
from .scene import DrawnScene as DrawnScene
from .scene import SceneFace as SceneFace
from .scene import draw_scene as draw_scene
