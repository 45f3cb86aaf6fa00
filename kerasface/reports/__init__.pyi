from . import attribute_words as attribute_words
from . import attributes as attributes
from . import classification as classification
from . import page as page
from . import style as style
from . import verification as verification
