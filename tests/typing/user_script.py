"""A user's script that mypy accepts; `test_typing.py` checks it and never runs it."""

import pathlib

import numpy as np
import pandas as pd

import kerasface
from kerasface.data import identity_folder

# Data and models.
table: kerasface.data.FaceTable = identity_folder("data/train")
train, validation = table.split(0.1, seed=0)
model = kerasface.build("convnext_nano", 50, dropout=0.1)
models: pd.DataFrame = kerasface.list_models()

# Training.
recipe = kerasface.Recipe(model="convnext_nano", epochs=3)
run: kerasface.Run = kerasface.train(
    recipe, train=train, validation=validation, out=pathlib.Path("runs/mine"), overwrite=True
)
other = kerasface.train("demo", train=train, out="runs/other", epochs=2, verbose=0)
classes: tuple[str, ...] = run.names

# Evaluation and prediction.
page = kerasface.evaluate(run, "data/test", flip=True)
accuracy: float = page.metrics["accuracy"]
comparison = kerasface.compare([run, other], "compare.html")
frame: pd.DataFrame = kerasface.predict("runs/mine", "photographs", flip=True)
submission: pathlib.Path = kerasface.submit([run, other], "data/test", "submission.csv")

# Embeddings, verification and identification.
embeddings: np.ndarray = kerasface.embed("photographs", model=run)
decision = kerasface.verify("a.jpg", "b.jpg", model=run, threshold=0.5)
same: bool = decision.same
similarity: float = decision.similarity
found = kerasface.identify("gallery", "probes", model=run)
version: str = kerasface.__version__
