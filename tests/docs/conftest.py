"""Pages and their blocks, and the folder in which the blocks of a page run.

The blocks of a page run in order in one new folder. It holds, drawn:

    data/                 train/<person>/, dev/<person>/, test/ (loose images),
                          sample_submission.csv, attributes.csv
    people/<person>/      not split; new_photos/<person>/ are other images of the same people
    staff/<person>/       known people; visitors/<person>/ has them and strangers
    photo.jpg, group.jpg  a scene with several faces; photographs/ has more of them
    album/<person>/       uncropped photographs with one face each
    me.jpg                one face; a.jpg and b.jpg are one person, c.jpg is another (all tight)
    celeba/               CelebA's layout, with attributes
    lfw/pairs.txt, lfw/lfw-deepfunneled/<person>/; pairs.csv, relative to that folder
    known/<person>/, unknown_dev/, unknown_test/, verification_dev.csv
    runs/first, runs/second (people), runs/smiling (attributes), runs/faces (embeddings):
                          if the page uses them without training them

Recipes and networks are replaced by small ones with the same names and options, pretrained weights
by random numbers. Only the model "dlib" is the real one, for which the package with its weights is
needed. Reports are without figures, and `kerasface crop` works in the test's process.
"""

import contextlib
import dataclasses
import functools
import inspect
import itertools
import linecache
import os
import pathlib
import re
import shlex
import shutil
import tempfile
import warnings

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import kerasface
from kerasface.cli import main
from kerasface.faces import cropping
from kerasface.inference import reading
from kerasface.inference.competition import NO_MATCH
from kerasface.models import registry, weights
from kerasface.runs.recipes import RECIPES
from kerasface.training import fit

ROOT = pathlib.Path(__file__).parents[2]
BUILT = ("_build", "gallery", "reference/api")
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=fence)$", re.S | re.M)
NEEDS = re.compile(r"# needs: (\w+)\n")
IMAGE_SIZE, EPOCHS = 32, 2
# Recipe and data of the runs that pages use without training them.
PREPARED = {
    "first": ("demo", {"seed": 1}),
    "second": ("demo", {"seed": 2}),
    "smiling": ("smiling_small", {}),
    "faces": ("embedding_softmax", {}),
}


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int  # of its first line of text, from 1
    kind: str
    text: str

    @property
    def package(self):
        """The additional package that it needs, or None."""
        needs = NEEDS.match(self.text)
        return needs and needs[1]

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages():
    """README and all pages of docs/ that are written by hand."""
    docs = ROOT / "docs"
    found = [path.relative_to(ROOT).as_posix() for path in sorted(docs.rglob("*.md"))]
    built = tuple(f"docs/{folder}/" for folder in BUILT)
    return ["README.md", *(page for page in found if not page.startswith(built))]


def blocks(page):
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("text")) + 1, match["kind"], match["text"])
        for match in FENCE.finditer(text)
    ]


def shell_lines(text):
    """Commands of a block, without comments; a backslash at the end continues a line."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


class RunningPage:
    """A page whose blocks run one after the other, each once.

    Args:
        page: Path of the page.
        folder: Folder to run in.
    """

    def __init__(self, page, folder):
        self.blocks = [block for block in blocks(page) if block.kind in ("sh", "python")]
        self.folder = folder
        self.done = 0
        self.failed = None
        self.registered = {}
        self.namespace = {"__name__": "__main__"}

    def run(self, block):
        """Runs a block and, where another process has run them, those before it."""
        while self.done <= self.blocks.index(block):
            if self.failed:
                pytest.fail(f"An earlier block of the page has failed: {self.failed}")
            current = self.blocks[self.done]
            self.done += 1
            if current.package and current is not block and not _is_installed(current.package):
                continue
            self.failed = current
            with small_kerasface(self.registered), contextlib.chdir(self.folder):
                (_run_shell if current.kind == "sh" else self._run_python)(current)
            self.failed = None

    def _run_python(self, block):
        # The code has lines in tracebacks, and inspect finds its sources.
        name = f"<{block}>"
        linecache.cache[name] = (len(block.text), None, block.text.splitlines(True), name)
        exec(compile(block.text, name, "exec"), self.namespace)


def _run_shell(block):
    for words in shell_lines(block.text):
        if words[0] == "kerasface":
            with pytest.raises(SystemExit) as exit:
                main(words[1:])
            assert not exit.value.code, f"{shlex.join(words)} ended with {exit.value.code}"


def _is_installed(package):
    try:
        pytest.importorskip(package)
    except pytest.skip.Exception:
        return False
    return True


@contextlib.contextmanager
def small_kerasface(registered):
    """Small recipes and networks, and the models that the page has registered so far."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(reading, "build_pretrained", _real_network())
        for name, make in list(RECIPES.items()):
            patch.setitem(RECIPES, name, _small_recipe(make))
        for name, spec in list(registry.MODELS.items()):
            patch.setitem(registry.MODELS, name, _small_model(spec))
        before = set(registry.MODELS)
        for name, spec in registered.items():
            patch.setitem(registry.MODELS, name, spec)
        patch.setattr("kerasface.models.weights._load_imagenet", lambda *_: None)
        patch.setattr("kerasface.models.weights._load_dlib", lambda *_: None)
        patch.setattr("kerasface.training.recommendation.FEWEST_EPOCHS", 1)
        patch.setattr("kerasface.training.recommendation.MOST_EPOCHS", EPOCHS)
        results = cropping._results
        patch.setattr(cropping, "_results", lambda job, jobs, _: results(job, jobs, 0))
        patch.setattr("kerasface.runs.evaluation.inference_speed", lambda _: 100.0)
        patch.setattr(Figure, "savefig", _save_empty_picture)
        patch.setattr(fit, "fit_phases", _fit_once(fit.fit_phases))
        patch.setattr(fit, "finish", _finish_once(fit.finish))
        try:
            yield
        finally:
            for name in set(registry.MODELS) - before:
                registered[name] = registry.MODELS.pop(name)


def _real_network():
    """The function that builds the pretrained network, which stays open and must not be small."""
    build, load = reading.build_pretrained, weights._load_dlib
    spec = registry.MODELS["dlib_resnet29"]

    def build_real(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(registry.MODELS, "dlib_resnet29", spec)
            patch.setattr(weights, "_load_dlib", load)
            return build(name)

    return build_real


def _save_empty_picture(figure, file, **_):
    """Writes a picture of one pixel: figures take a third of the time, and have their own tests."""
    Image.new("RGB", (1, 1)).save(file, "png")


TRAINED = {}  # a copy of each new run, before its page adds files to it
COPIES = tempfile.TemporaryDirectory()


def _run_key(job):
    """What decides a training, or None where the page adds something of its own."""
    if job.resume or job.callbacks or job.recipe.model == registry.CUSTOM_MODEL:
        return None
    tables = [table for table in (job.train, job.validation) if table is not None]
    files = [(tuple(table.paths), table.labels.tobytes()) for table in tables]
    return job.recipe.to_json(), tuple(files), job.features == job.folder / "features"


def _fit_once(fit_phases):
    """A training that another page has had is copied."""

    def fit_or_copy(job):
        folder = TRAINED.get(_run_key(job))
        if folder is None:
            fit_phases(job)
        else:
            own = {path.name: path.read_bytes() for path in job.folder.iterdir() if path.is_file()}
            shutil.copytree(folder, job.folder, dirs_exist_ok=True)
            for name, content in own.items():
                (job.folder / name).write_bytes(content)

    return fit_or_copy


def _finish_once(finish):
    def finish_or_open(job, *, report):
        key = _run_key(job)
        if report and key in TRAINED:
            return kerasface.Run(job.folder)
        run = finish(job, report=report)
        if report and key is not None:
            TRAINED[key] = pathlib.Path(COPIES.name) / str(len(TRAINED))
            shutil.copytree(run.folder, TRAINED[key])
        return run

    return finish_or_open


def _small_recipe(make):
    """A recipe with few epochs and small images."""

    @functools.wraps(make)
    def small():
        recipe = make()
        changes = {"epochs": EPOCHS, "warmup_epochs": 0}
        if recipe.phases:
            changes = {"phases": {number: {"epochs": 1} for number in range(len(recipe.phases))}}
        if len(recipe.attributes) > 1:
            changes["attributes"] = ()  # those of the drawn faces
        if recipe.augment:
            changes["augment"] = ("flip",)
        return recipe.replace(image_size=IMAGE_SIZE, batch_size=16, **changes)

    return small


def _small_model(spec):
    """Two convolutions that accept the options of a network."""

    @functools.wraps(spec.features)
    def features(inputs, **_):
        x = keras.layers.Rescaling(1 / 255)(inputs)
        for channels in (8, 16):
            x = keras.layers.Conv2D(channels, 3, strides=4, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization()(x)
            x = keras.layers.ReLU()(x)
        return x

    features.__signature__ = inspect.signature(spec.features)
    return dataclasses.replace(spec, features=features, smallest=8, application=None)


def pytest_generate_tests(metafunc):
    """A test with the argument ``block`` has one id per shell and Python block."""
    if "block" in metafunc.fixturenames:
        found = [block for page in pages() for block in blocks(page)]
        run = [block for block in found if block.kind in ("sh", "python")]
        metafunc.parametrize("block", run, ids=str)


@pytest.fixture(scope="session")
def all_blocks():
    """All fenced blocks of all pages."""
    return [block for page in pages() for block in blocks(page)]


@pytest.fixture(scope="session")
def commands():
    """A function that returns the commands of a block of shell lines, as lists of words."""
    return shell_lines


@pytest.fixture(scope="session")
def repository():
    """The folder with README.md."""
    return ROOT


@pytest.fixture(scope="session")
def page_texts():
    """The text of each page by its path."""
    return {page: (ROOT / page).read_text(encoding="utf-8") for page in pages()}


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """The drawn files of every page, without runs."""
    root = tmp_path_factory.mktemp("docs") / "drawn"
    kerasface.data.drawn_faces(root / "data", identities=4, train=6, dev=4, test=2, size=48)
    others = kerasface.data.drawn_faces(
        root / "others", identities=6, train=6, dev=3, test=2, size=48, seed=1
    )
    persons = sorted(path.name for path in (others / "train").iterdir())
    _copy(others / "train", root / "people")
    _copy(others / "dev", root / "new_photos")
    _copy(others / "train", root / "staff", persons[:4])
    _copy(others / "dev", root / "visitors", persons)
    _draw_photographs(root)
    kerasface.data.drawn_celeba(root / "celeba", people=(10, 4, 4), images=4, height=44)
    _draw_lfw(root)
    _copy(others / "train", root / "known", persons[:4])
    _draw_verification(root, others, persons)
    shutil.rmtree(others)
    return root


def _copy(source, target, names=None):
    for person in sorted(source.iterdir()):
        if names is None or person.name in names:
            shutil.copytree(person, target / person.name)


def _save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95)


def _draw_photographs(root):
    for number in range(2):
        scene = kerasface.data.draw_scene(faces=3, width=320, height=240, seed=number)
        _save(scene.image, root / "photographs" / f"{number}.jpg")
    shutil.copyfile(root / "photographs" / "0.jpg", root / "photo.jpg")
    shutil.copyfile(root / "photographs" / "0.jpg", root / "group.jpg")
    for person, number in itertools.product(range(3), range(5)):
        scene = kerasface.data.draw_scene(faces=0, width=140, height=110, seed=person)
        canvas = np.array(scene.image)
        face = kerasface.data.draw_face(person, number, size=90).image
        canvas[10:100, 10 + 5 * number : 100 + 5 * number] = face
        _save(canvas, root / "album" / f"p{person}" / f"{number}.jpg")
    for name, person, number in (("me", 7, 0), ("a", 0, 20), ("b", 0, 21), ("c", 1, 20)):
        _save(kerasface.data.draw_face(person, number, size=96).image, root / f"{name}.jpg")


def _draw_lfw(root, people=20, images=4, folds=4):
    """Strangers in the form of LFW, with as many pairs of one person as of two in each fold."""
    for person, number in itertools.product(range(people), range(1, images + 1)):
        face = kerasface.data.draw_face(person, number, size=48, seed=2).image
        name = f"Person_{person}"
        _save(face, root / "lfw/lfw-deepfunneled" / name / f"{name}_{number:04}.jpg")
    lines, rows = [], ["file_a,file_b,same"]
    for members in np.arange(people).reshape(folds, -1).tolist():
        numbers = list(itertools.combinations(range(1, images + 1), 2))
        same = [(person, a, person, b) for person in members for a, b in numbers]
        following = dict(zip(members, [*members[1:], members[0]], strict=True))
        for first, a, second, b in [*same, *((i, a, following[i], b) for i, a, _, b in same)]:
            other = "" if first == second else f"Person_{second}\t"
            lines.append(f"Person_{first}\t{a}\t{other}{b}")
            files = [f"Person_{p}/Person_{p}_{n:04}.jpg" for p, n in ((first, a), (second, b))]
            rows.append(",".join([*files, str(int(first == second))]))
    text = f"{folds}\t{len(lines) // folds // 2}\n" + "\n".join(lines) + "\n"
    (root / "lfw" / "pairs.txt").write_text(text, encoding="utf-8")
    (root / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _draw_verification(root, others, persons):
    """Loose images of known people and strangers, as 11-785's verification task has them."""
    for folder in ("unknown_dev", "unknown_test"):
        for number, person in enumerate(persons):
            source = sorted((others / "dev" / person).iterdir())[folder == "unknown_test"]
            (root / folder).mkdir(exist_ok=True)
            shutil.copyfile(source, root / folder / f"{number:03}.jpg")
    labels = [name if name in persons[:4] else NO_MATCH for name in persons]
    text = "\n".join(["label", *labels]) + "\n"
    (root / "verification_dev.csv").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def prepared_run(drawn_folder, unpainted):
    """A function that trains one of the prepared runs once and returns its folder."""

    @functools.cache
    def train(name):
        recipe, changes = PREPARED[name]
        if name == "smiling":
            train, validation, _ = kerasface.data.read_celeba(drawn_folder / "celeba")
        else:
            train = kerasface.data.identity_folder(drawn_folder / "data/train")
            validation = kerasface.data.identity_folder(
                drawn_folder / "data/dev", names=train.names
            )
        with small_kerasface({}), unpainted():
            return kerasface.train(
                recipe,
                train=train,
                validation=validation,
                out=drawn_folder.parent / "runs" / name,
                verbose=0,
                **changes,
            ).folder

    return train


@pytest.fixture(scope="session")
def open_page(drawn_folder, prepared_run, tmp_path_factory):
    """A function that returns the running page of a path, the same one at every call."""

    @functools.cache
    def open_(page):
        folder = tmp_path_factory.mktemp("page")
        shutil.copytree(drawn_folder, folder, dirs_exist_ok=True)
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in PREPARED:
            used = re.search(rf"\bruns/{name}\b", text)
            trained = re.search(rf"""(--out |out=")runs/{name}\b""", text)
            if used and not trained:
                shutil.copytree(prepared_run(name), folder / "runs" / name)
        return RunningPage(page, folder)

    return open_


@pytest.fixture
def offline(monkeypatch):
    """Settings that keep additional packages from the network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MPLBACKEND", os.environ.get("MPLBACKEND", "agg"))
