"""A user's script with mistakes; each comment names the error code that mypy reports."""

import numpy as np
import pandas as pd

import kerasface

kerasface.train("x", trian=2)  # error: call-arg
kerasface.trian("x")  # error: attr-defined
run = kerasface.train("demo", train="data", out="runs/mine")  # error: arg-type
kerasface.build(3)  # error: arg-type
kerasface.build("convnext_nano", classes="50", freeze="no")  # error: arg-type
kerasface.predict(run, "photographs", batch_size="64")  # error: arg-type
kerasface.predict(run, "photographs", batchsize=64)  # error: call-arg
decision = kerasface.verify("a.jpg", model=run)  # error: call-arg
similarity = kerasface.verify("a.jpg", "b.jpg", model=run).simliar  # error: attr-defined
kerasface.Recipe(epoch=3)  # error: call-arg
names: int = run.names  # error: assignment
embeddings: pd.DataFrame = kerasface.embed("photographs", model=run)  # error: assignment
frame: np.ndarray = kerasface.predict(run, "photographs")  # error: assignment
