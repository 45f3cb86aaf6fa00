"""A folder of photographs to a folder of face crops."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import pathlib
import pickle
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from kerasface import images
from kerasface.data.duplicates import CROPS, PHOTOGRAPH
from kerasface.data.folders import unlabeled_folder
from kerasface.data.reading import read_text_table
from kerasface.faces import alignment
from kerasface.faces.detectors.registry import Detector, detect, list_detectors, load_detector
from kerasface.faces.face import LANDMARKS, Face
from kerasface.faces.workers import spawned
from kerasface.files import LOCK, locked, replacing
from kerasface.names import suggest

RULES = ("largest", "central", "best", "all")
WITHOUT = ("skip", "centre", "copy")
SUFFIXES = (".jpg", ".png")
SETTINGS = "crops.json"
WORK_FOLDER = ".crops"  # while cropping: what was done, and files that are not whole yet
JOURNAL = "journal.jsonl"
FORMAT = 2  # raised when crops change, so that old ones are not mixed with new ones
BOX_MARGIN = 0.2
JPEG_QUALITY = 95
FILES_A_JOB = 8  # a kill loses at most so many a process
FILES_A_PROCESS = 250  # with fewer, starting another process takes longer than it saves

BOX_COLUMNS = ("left", "top", "width", "height")
POINT_COLUMNS = tuple(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")
NUMBERS = (*BOX_COLUMNS, "score", *POINT_COLUMNS)
STAMP = "stamp"
COLUMNS = ("file", "face", "faces", "outcome", "reason", "crop", *NUMBERS, PHOTOGRAPH, STAMP)

Row = dict[str, str]


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is to be done with every file, for a process of its own."""

    source: pathlib.Path
    target: pathlib.Path
    size: int
    margin: float
    align: bool
    rule: str
    without: str
    suffix: str


def crop(
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    detector: str | Detector = "mtcnn",
    options: Mapping | None = None,
    size: int = 224,
    margin: float | None = None,
    align: bool = False,
    rule: str = "largest",
    without: str = "skip",
    suffix: str = ".jpg",
    processes: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Finds the faces of all photographs in a folder and cuts them out.

    The crops lie in ``target`` as the photographs do in ``source``, under the same names (other
    image formats get ``suffix`` added). ``crops.csv`` there tells what became of every file;
    ``crops.json`` holds the settings. Files appear whole or not at all. A run that was stopped,
    killed too, goes on where it was when it is called again, and leaves to the last bit what an
    undisturbed one leaves; files that are new, that have another size or time of change than
    before, or whose crop was deleted, are done then, unreadable ones are tried again. Crops of
    photographs that are no longer there are kept.

    Args:
        source: Folder of photographs, at any depth.
        target: Folder to write; must be new, empty, or of an earlier run with the same settings.
        detector: As for `detect`. A function gets up to 8 photographs at once, always the same
            ones together. What it was made with it may tell in an attribute ``settings``, as
            those of `load_detector` do; `crop` knows by it, and by its name, that it changed.
        options: Options of a detector that is named, as for `load_detector`.
        size: Side of the crops in pixels.
        margin: What is added at each side, as a share of the box's longer side, or with
            ``align`` of the standard crop; None is 0.2, or with ``align`` 0, the standard.
        align: Whether faces are turned upright by their landmarks (`kerasface.faces.align`), or
            cut around their box as they are.
        rule: Which face of several: ``"largest"``, ``"central"`` (nearest to the middle of the
            photograph), ``"best"`` (score), or ``"all"``, numbered from 1 in the order of their
            scores: ``name.1.jpg``.
        without: What becomes of a photograph without a face: ``"skip"`` leaves it out,
            ``"centre"`` keeps the square in its middle, ``"copy"`` the whole file.
        suffix: ``".jpg"`` (quality 95) or ``".png"``.
        processes: Processes of one thread each, started anew, which give the same crops
            whatever their number, without a GPU; None for one a processor where there are files
            enough. 0 starts none, for scripts that do not call from under
            ``if __name__ == "__main__":``; with other threads the last digit of a box may then
            differ. None is 0 for a function that cannot be pickled, and for RetinaFace where
            onnxruntime has a GPU.
        progress: Whether a bar with rate and remaining time is shown, if standard error is a
            terminal.

    Returns:
        What ``crops.csv`` holds, one row a crop or file left out, sorted: ``file``, ``face``
        (its number) of ``faces``, ``outcome`` (``face``, ``centre``, ``copied``, ``skipped``,
        ``unreadable``), ``reason``, ``crop`` (its path in ``target``), box and landmarks in
        pixels of the photograph, to 0.1, ``score``, to 0.0001, ``photograph_hash``
        (`kerasface.images.perceptual_hash`, in hexadecimal) and ``stamp``, the photograph's size
        in bytes and the time of its last change.

    Raises:
        FileNotFoundError: If ``source`` is no folder.
        ValueError: If an option is unknown or out of range, ``source`` has no image, or
            ``target`` holds something else, crops of other settings or of another folder, or
            lies in ``source``, or another process writes to it.
        RuntimeError: If the detector fails, with the names of the photographs that it was given.

    Warns:
        UserWarning: If there are crops of photographs that are no longer there, for instance of
            one that was moved to another person's folder.

    Example:
        >>> table = crop("photographs", "crops", size=112, align=True)  # doctest: +SKIP
        >>> table["outcome"].value_counts()  # doctest: +SKIP
    """
    _check_choice("rule", rule, RULES)
    _check_choice("without", without, WITHOUT)
    _check_choice("suffix", suffix, SUFFIXES)
    if processes is not None and processes < 0:
        raise ValueError(f"`processes` must be 0 or more. Received: processes={processes}.")
    if isinstance(detector, str):
        _check_choice("detector", detector, list_detectors())
    elif options:
        raise ValueError(
            "Options are for a detector that is named. "
            f"Received: {sorted(options)} with a function. Build them into the function."
        )
    margin = (0.0 if align else BOX_MARGIN) if margin is None else float(margin)
    alignment.template(size, margin)  # refuses what is out of range before anything is done
    source, target = pathlib.Path(source), pathlib.Path(target)
    plan = _Plan(source, target, int(size), margin, align, rule, without, suffix)
    names = unlabeled_folder(source).paths.tolist()
    _check_outputs(names, plan)
    if target.exists() and not target.is_dir():
        raise ValueError(f"Crops must go to a folder. Received: a file, {target}.")
    target.mkdir(parents=True, exist_ok=True)
    with locked(target):
        _claim(plan, detector, options or {})
        return _crop_names(names, plan, detector, dict(options or {}), processes, progress)


def read_crops(target: str | os.PathLike) -> pd.DataFrame:
    """Reads the table that `crop` left.

    Args:
        target: The folder of crops.

    Returns:
        As `crop`.

    Raises:
        FileNotFoundError: If there is none.

    Example:
        >>> table = read_crops("crops")  # doctest: +SKIP
        >>> table[table["outcome"] == "unreadable"]["reason"]  # doctest: +SKIP
    """
    path = pathlib.Path(target, CROPS)
    if not path.is_file():
        raise FileNotFoundError(
            f"A folder of crops must hold {CROPS}, which is written when all is done. "
            f"Received: {os.fspath(target)!r}, without it. Call `crop` again to go on."
        )
    return _typed(_read_rows(path))


def _crop_names(
    names: list[str],
    plan: _Plan,
    detector: str | Detector,
    options: dict,
    processes: int | None,
    progress: bool,
) -> pd.DataFrame:
    target = plan.target
    known = _known_rows(target)
    done = {name for name in names if name in known and _is_done(known[name], plan)}
    # Cut from all files, so that the jobs of a run that goes on are those of an undisturbed one.
    jobs = [names[start : start + FILES_A_JOB] for start in range(0, len(names), FILES_A_JOB)]
    jobs = [[name for name in job if name not in done] for job in jobs]
    jobs = [job for job in jobs if job]
    work_folder = target / WORK_FOLDER
    work_folder.mkdir(exist_ok=True)
    with (
        open(work_folder / JOURNAL, "a", encoding="utf-8") as journal,
        tqdm(
            total=len(names),
            initial=len(done),
            desc="cropping",
            unit=" files",
            disable=None if progress else True,  # None: where nobody looks
        ) as bar,
    ):
        journal.write("\n")  # ends a line that a kill may have cut
        for results in _results(plan, detector, options, jobs, processes):
            _delete_replaced(known, results, target)
            known |= results
            # One line a job, which is done as a whole or not at all.
            journal.write(json.dumps(results) + "\n")
            journal.flush()
            bar.update(len(results))
    _forget_gone(known, set(names), target)
    table = _write_table(known, target)
    # A worker of a run that was killed may be finishing its last job in there.
    shutil.rmtree(work_folder, ignore_errors=True)
    return table


def _results(
    plan: _Plan,
    detector: str | Detector,
    options: dict,
    jobs: Sequence[list[str]],
    processes: int | None,
) -> Iterator[dict[str, list[Row]]]:
    files = sum(len(job) for job in jobs)
    if not files:
        return
    if processes is None:
        processes = max(1, min(_processors(), files // FILES_A_PROCESS))
        if not isinstance(detector, str) and (processes == 1 or not _is_portable(detector)):
            processes = 0
        if detector == "retinaface" and _has_gpu():  # which one process fills
            processes = 0
    if processes:
        if not _is_portable(detector):
            raise ValueError(
                "A detector that other processes work with must be a function of a module that "
                f"they can import. Received: {_full_name(detector)} with processes={processes}. "
                "Say processes=0, or put it into a file of its own."
            )
        if detector == "retinaface":
            options = {"threads": 1, **options, "weights": _weights(options)}
        yield from spawned(_make_worker, (plan, detector, options), jobs, processes)
    else:
        yield from map(_make_cropper(plan, detector, options), jobs)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # those that this process may use, where that is known
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _has_gpu() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _weights(options: Mapping) -> str | os.PathLike:
    """The path of RetinaFace's weights, found or downloaded once for all processes."""
    from kerasface.faces.detectors.retinaface import cached_weights

    return options.get("weights") or cached_weights()


def _is_portable(detector: str | Detector) -> bool:
    """Whether a new process can be given it."""
    try:
        pickle.dumps(detector)
    except Exception:  # pickle raises several errors for what has no name in a module
        return False
    while isinstance(detector, functools.partial):
        detector = detector.func
    # What was typed into a notebook is in no file that a new process could import.
    typed_in = not hasattr(sys.modules["__main__"], "__file__")
    return not (typed_in and getattr(detector, "__module__", "") == "__main__")


def _make_worker(plan: _Plan, detector: str | Detector, options: dict) -> Callable:
    """What crops in a process of its own, with one thread and without a GPU."""
    if isinstance(detector, str):  # every process would take all of its memory
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if detector == "mtcnn":  # its sums depend on the number of threads, in their last bits
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return _make_cropper(plan, detector, options)


def _make_cropper(plan: _Plan, detector: str | Detector, options: dict) -> Callable:
    loaded = load_detector(detector, **options) if isinstance(detector, str) else detector

    def crop_files(names: list[str]) -> dict[str, list[Row]]:
        readable, results = {}, {}
        stamps = {name: _stamp(plan.source / name) for name in names}  # before they are read
        for name in names:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF blocks
                    readable[name] = images.decode((plan.source / name).read_bytes())
            except (OSError, ValueError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                results[name] = [_row(name, "unreadable", reason)]
        for (name, image), faces in zip(readable.items(), found(readable), strict=True):
            rows = _crop_image(plan, name, image, [_rounded(face) for face in faces])
            mark = images.perceptual_hash(image).tobytes().hex()
            results[name] = [row | {PHOTOGRAPH: mark} for row in rows]
        return {name: [row | {STAMP: stamps[name]} for row in results[name]] for name in names}

    def found(readable: Mapping[str, np.ndarray]) -> list[list[Face]]:
        try:
            return detect(list(readable.values()), loaded) if readable else []
        except ValueError as error:  # its own, or for what it gives is no list of faces
            raise ValueError(f"{error} It was given {list(readable)}.") from error
        except Exception as error:
            raise RuntimeError(
                f"A detector must not fail. Received: {type(error).__name__}: {error}, with one "
                f"of the photographs {list(readable)}. Take it out of the folder, and crop again."
            ) from error

    return crop_files


def _crop_image(plan: _Plan, name: str, image: np.ndarray, faces: list[Face]) -> list[Row]:
    rows = []
    for number, face in _chosen(faces, plan.rule, image.shape):
        if not plan.align:
            pixels = alignment.cut(image, face.box, plan.size, margin=plan.margin)
        elif face.landmarks is not None:
            pixels = alignment.align(image, face.landmarks, plan.size, margin=plan.margin)
        else:
            raise ValueError(
                "To align faces a detector must give their landmarks. "
                f"Received: a face without, in {name}. Crop without `align`."
            )
        output = _output_name(name, plan, number if plan.rule == "all" else None)
        _save(pixels, plan, output)
        row = _row(name, "face", "", output) | {"face": str(number), "faces": str(len(faces))}
        places = [*face.box, *(() if face.landmarks is None else face.landmarks.ravel())]
        columns = (*BOX_COLUMNS, *POINT_COLUMNS)
        row |= {column: f"{value:.1f}" for column, value in zip(columns, places, strict=False)}
        rows.append(row | {"score": f"{face.score:.4f}"})
    if rows:
        return rows
    reason = "no face found"
    if plan.without == "skip":
        return [_row(name, "skipped", reason)]
    if plan.without == "copy":
        with replacing(plan.target / name, folder=plan.target / WORK_FOLDER) as part:
            shutil.copyfile(plan.source / name, part)
        return [_row(name, "copied", reason, name)]
    output = _output_name(name, plan, 0 if plan.rule == "all" else None)
    _save(alignment.centre_square(image, plan.size), plan, output)
    return [_row(name, "centre", reason, output)]


def _rounded(face: Face) -> Face:
    """As the table has it: crops are cut from these numbers, so that a table tells all."""
    box = np.round(face.box, 1)
    box[2:] = np.maximum(box[2:], 0.1)
    landmarks = None if face.landmarks is None else np.round(face.landmarks, 1) + 0.0  # no -0.0
    return Face(tuple((box + 0.0).tolist()), round(face.score, 4), landmarks)


def _chosen(faces: list[Face], rule: str, shape: tuple[int, ...]) -> list[tuple[int, Face]]:
    """Faces with their numbers from 1; at most one but for the rule "all"."""
    numbered = list(enumerate(faces, start=1))
    if rule == "all" or not faces:
        return numbered
    if rule == "largest":
        return [max(numbered, key=lambda pair: (pair[1].box[2] * pair[1].box[3], -pair[0]))]
    if rule == "central":

        def distance(pair: tuple[int, Face]) -> tuple[float, int]:
            left, top, width, height = pair[1].box
            across, down = left + width / 2 - shape[1] / 2, top + height / 2 - shape[0] / 2
            return across**2 + down**2, pair[0]

        return [min(numbered, key=distance)]
    return numbered[:1]


def _row(name: str, outcome: str, reason: str, output: str = "") -> Row:
    row = dict.fromkeys(COLUMNS, "")
    return row | {"file": name, "outcome": outcome, "reason": reason, "crop": output}


def _output_name(name: str, plan: _Plan, number: int | None) -> str:
    stem, suffix = os.path.splitext(name)
    alike = (".jpg", ".jpeg") if plan.suffix == ".jpg" else (plan.suffix,)
    if suffix.lower() not in alike:
        stem, suffix = name, plan.suffix
    return f"{stem}{suffix}" if number is None else f"{stem}.{number}{suffix}"


def _save(pixels: np.ndarray, plan: _Plan, output: str) -> None:
    buffer = io.BytesIO()
    if plan.suffix == ".jpg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    with replacing(plan.target / output, folder=plan.target / WORK_FOLDER) as part:
        part.write_bytes(buffer.getvalue())


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {list(known)}. Received: {name}={value!r}."
            f"{suggest(str(value), known)}"
        )


def _check_outputs(names: list[str], plan: _Plan) -> None:
    target, source = plan.target.resolve(), plan.source.resolve()
    if target == source or source in target.parents or target in source.parents:
        raise ValueError(
            "Photographs and crops must lie in folders apart, for the one would be taken for the "
            f"other. Received: source={str(plan.source)!r}, target={str(plan.target)!r}."
        )
    owners: dict[str, str] = {}
    for name in names:
        outputs = {_output_name(name, plan, None)}
        if plan.without == "copy":
            outputs.add(name)
        for output in outputs:
            if owners.setdefault(output, name) != name:
                raise ValueError(
                    "Every photograph must have a crop of its own name. Received: "
                    f"{owners[output]!r} and {name!r}, both to {output!r}. Rename one of them."
                )
    if plan.rule == "all" and plan.without == "copy":
        crops = {_output_name(name, plan, None): name for name in names}
        for name in names:
            numbered = re.fullmatch(r"(.+)\.\d+(\.[^./]+)", name)
            owner = crops.get("".join(numbered.groups())) if numbered else None
            if owner is not None and owner != name:
                raise ValueError(
                    "No photograph that may be copied must be called like a crop of another. "
                    f"Received: {name!r} beside {owner!r}. Rename it, or say without='centre'."
                )


def _claim(plan: _Plan, detector: str | Detector, options: Mapping) -> None:
    """Takes a new or empty folder, or one of an earlier run with the same settings."""
    settings: dict[str, Any] = {"format": FORMAT, "detector": _described(detector)}
    settings |= {f"options.{key}": options[key] for key in sorted(options)}
    settings |= {key: getattr(plan, key) for key in ("size", "margin", "align", "rule")}
    settings |= {key: getattr(plan, key) for key in ("without", "suffix")}
    settings["source"] = os.fspath(plan.source.resolve())
    text = json.dumps(settings, indent=1, default=str)
    path, work_folder = plan.target / SETTINGS, plan.target / WORK_FOLDER
    begun = any(
        entry.name not in (SETTINGS, WORK_FOLDER, LOCK) for entry in os.scandir(plan.target)
    )
    if path.is_file():
        found, wanted = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        changed = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
        if not changed:
            return
        if begun:
            now, then = (
                ", ".join(f"{key}={values.get(key)!r}" for key in changed)
                for values in (wanted, found)
            )
            raise ValueError(
                "Crops of other settings are not mixed. "
                f"Received: {now}, where {plan.target} was begun with {then}. Name a new folder "
                "or delete that one."
            )
    elif begun:
        raise ValueError(
            "Crops must go to a folder that is new, empty or of an earlier run. "
            f"Received: {plan.target}, which holds other files. Name a new folder."
        )
    # Nothing was made with other settings yet, if there were any.
    shutil.rmtree(work_folder, ignore_errors=True)
    with replacing(path, folder=work_folder) as part:
        part.parent.mkdir()
        part.write_text(text, encoding="utf-8")


def _described(detector: str | Detector) -> str:
    """A detector's name, and what it was made with as far as that can be known."""
    if isinstance(detector, str):
        return detector
    settings = getattr(detector, "settings", None)
    if settings is not None:
        return f"{_full_name(detector)}: {settings}"
    if isinstance(detector, functools.partial):
        given = [*map(_plain, detector.args)]
        given += [f"{key}={_plain(value)}" for key, value in sorted(detector.keywords.items())]
        return f"{_described(detector.func)}({', '.join(given)})"
    return _full_name(detector)


def _plain(value) -> str:
    """An argument in words that are the same in another process."""
    if isinstance(value, str | int | float | bool | pathlib.PurePath | None):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_plain, value))})"
    return _full_name(value if callable(value) else type(value))


def _full_name(function: str | Callable) -> str:
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def _known_rows(target: pathlib.Path) -> dict[str, list[Row]]:
    known: dict[str, list[Row]] = {}
    if (target / CROPS).is_file():
        for row in _read_rows(target / CROPS):
            # Older tables have fewer columns.
            known.setdefault(row["file"], []).append(dict.fromkeys(COLUMNS, "") | row)
    journal = target / WORK_FOLDER / JOURNAL
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8").split("\n"):
            with contextlib.suppress(ValueError):  # a kill has cut it: its files are done again
                for name, rows in json.loads(line).items():
                    known[name] = [dict.fromkeys(COLUMNS, "") | row for row in rows]
    return known


def _is_done(rows: list[Row], plan: _Plan) -> bool:
    if rows[0]["outcome"] == "unreadable":
        return False
    stamp = _stamp(plan.source / rows[0]["file"])
    # One of no stamp, of an older table or a disk that is gone for a moment, says nothing.
    if stamp and rows[0][STAMP] not in ("", stamp):
        return False
    return all((plan.target / row["crop"]).is_file() for row in rows if row["crop"])


def _stamp(photograph: pathlib.Path) -> str:
    """What tells, without reading it, that a file was replaced by another one."""
    try:
        status = photograph.stat()
    except OSError:  # its reading will say why
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def _delete_replaced(
    known: Mapping[str, list[Row]], results: Mapping[str, list[Row]], target: pathlib.Path
) -> None:
    """Deletes crops of photographs that have others, or none, now that they were replaced."""
    for name, rows in results.items():
        if not rows[0][STAMP]:  # the photograph itself was not there to be read
            continue
        before = {row["crop"] for row in known.get(name, []) if row["crop"]}
        for crop_name in before - {row["crop"] for row in rows}:
            (target / crop_name).unlink(missing_ok=True)


def _forget_gone(known: dict[str, list[Row]], names: set[str], target: pathlib.Path) -> None:
    """Drops photographs that are gone, and tells of those whose crops are still there."""
    others = {row["crop"] for name in names for row in known[name]}
    kept = []
    for name in sorted(known.keys() - names):
        crops = {row["crop"] for row in known[name] if row["crop"]} - others
        if any((target / crop_name).is_file() for crop_name in crops):
            kept.append(name)
        else:
            del known[name]
    if kept:
        warnings.warn(
            f"{len(kept)} photographs of an earlier run are gone, for instance {kept[:3]}; their "
            "crops are kept: delete them where the photographs were moved or sorted out",
            stacklevel=4,
        )


def _read_rows(path: pathlib.Path) -> list[Row]:
    frame = read_text_table(path)
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _write_table(known: Mapping[str, list[Row]], target: pathlib.Path) -> pd.DataFrame:
    # Within a file the faces already come in their order.
    rows = [row for name in sorted(known) for row in known[name]]
    with replacing(target / CROPS, folder=target / WORK_FOLDER) as part:
        pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).to_csv(
            part, index=False, lineterminator="\n", errors="surrogateescape"
        )
    return _typed(rows)


def _typed(rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    numbers = frame[["face", "faces", *NUMBERS]].apply(pd.to_numeric)
    return frame.assign(**numbers)
