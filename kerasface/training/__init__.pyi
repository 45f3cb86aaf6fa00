from .fit import train as train
from .muon import Muon as Muon
from .recommendation import Recommendation as Recommendation
from .recommendation import recommend as recommend
