from . import callbacks as callbacks
from . import data as data
from . import embedding as embedding
from . import faces as faces
from . import inference as inference
from . import metrics as metrics
from . import models as models
from . import pipeline as pipeline
from . import reports as reports
from . import runs as runs
from . import training as training
from .inference.comparison import compare as compare
from .inference.embedding import embed as embed
from .inference.embedding import embedder as embedder
from .inference.evaluation import evaluate as evaluate
from .inference.identification import identify as identify
from .inference.prediction import predict as predict
from .inference.prediction import submit as submit
from .inference.verification import verify as verify
from .models.factory import build as build
from .models.registration import register_model as register_model
from .models.registry import list_models as list_models
from .runs.recipe import Recipe as Recipe
from .runs.run import Run as Run
from .training.fit import train as train
from .training.recommendation import recommend as recommend

__version__: str
