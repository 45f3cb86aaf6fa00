from . import attributes as attributes
from . import classification as classification
from . import identification as identification
from . import verification as verification
