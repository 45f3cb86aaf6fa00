from .attributes import AttributeReport as AttributeReport
from .classes import ConfusionMatrix as ConfusionMatrix
from .classes import RocCurves as RocCurves
from .curves import Curves as Curves
from .submission import Submission as Submission
