from .fit import train as train
from .losses import AttributeAccuracy as AttributeAccuracy
from .losses import AttributeLoss as AttributeLoss
from .losses import ClassLoss as ClassLoss
from .muon import Muon as Muon
from .recommendation import Recommendation as Recommendation
from .recommendation import recommend as recommend
