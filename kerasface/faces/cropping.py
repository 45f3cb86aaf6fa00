"""Crops the faces of a folder of photographs."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasface import images
from kerasface.checks import check_choice, check_number
from kerasface.data.duplicates import CROPS, PHOTOGRAPH
from kerasface.data.folders import unlabeled_folder
from kerasface.faces import alignment
from kerasface.faces.crop_image import (
    STAMP,
    SUFFIXES,
    WITHOUT,
    CropPlan,
    Row,
    crop_image,
    empty_row,
)
from kerasface.faces.crop_store import CropStore, file_stamp, read_rows, typed_rows
from kerasface.faces.detectors.description import describe_detector, full_name, is_portable
from kerasface.faces.detectors.registry import (
    DEFAULT,
    Detector,
    detect,
    list_detectors,
    load_detector,
    register_detector,
    registered_load,
)
from kerasface.faces.face import Face
from kerasface.faces.preparation import FACES
from kerasface.faces.workers import can_start_processes, leave_unguarded_import, spawned
from kerasface.files import locked
from kerasface.packages import import_package
from kerasface.progress import ProgressBar

BOX_MARGIN = 0.2
BOX_SIZE = 224
DEFAULT_TEMPLATE = "arcface"
FILES_A_JOB = 8  # a kill loses at most one job of each process
FILES_A_PROCESS = 250  # with fewer, starting another process takes longer than it saves

CropFiles = Callable[[list[str]], dict[str, list[Row]]]  # does a job


def crop(
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    detector: str | Detector = DEFAULT,
    options: Mapping[str, Any] | None = None,
    size: int | None = None,
    margin: float | None = None,
    align: bool = False,
    template: str = "arcface",
    faces: str = "largest",
    without: str = "skip",
    suffix: str = ".jpg",
    processes: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Detects the faces of all photographs in a folder and writes crops of them.

    The crops in ``target`` have the folders and names of the photographs in ``source`` (other
    image formats get ``suffix`` added). ``crops.csv`` there lists the outcome for every file;
    ``crops.json`` has the settings. Files appear complete or not at all.

    A run that was stopped or killed is resumed by the same call, with exactly the same result as
    an uninterrupted one. That call also processes files that are new, whose size or modification
    time changed, or whose crop was deleted, and tries unreadable files again. Crops of
    photographs that are missing are kept.

    Args:
        source: Folder of photographs, at any depth.
        target: Folder to write; must be new, empty, or of an earlier run with the same settings.
        detector: As for `detect`. A function gets up to 8 photographs at once, always the same
            ones together. It may have an attribute ``settings``, as those of `load_detector` do;
            by it, and by the function's name, `crop` notices that the detector changed.
        options: Options of a detector given by name, as for `load_detector`.
        size: Width and height of the crops in pixels. None is 224, or 150 with
            ``template="dlib"``.
        margin: Added at each side, as a share of the box's longer side, or with ``align`` of the
            standard crop; None is 0.2, or with ``align`` 0, the standard.
        align: If True, turn faces upright by their landmarks (`kerasface.faces.align`);
            otherwise cut out the box without turning.
        template: Where aligned faces have their eyes, nose and mouth: ``"arcface"``, or
            ``"dlib"`` for the pretrained network, see `kerasface.faces.align`.
        faces: Which face to crop if there are several: ``"largest"``, ``"central"`` (nearest to
            the center of the photograph), ``"best"`` (highest score), or ``"all"``, numbered from
            1 in the order of their scores: ``name.1.jpg``.
        without: How to handle photographs without a face: ``"skip"`` leaves them out, ``"center"``
            keeps the square in the middle, ``"copy"`` the whole file.
        suffix: ``".jpg"`` (quality 95) or ``".png"``.
        processes: Number of new processes, each with one thread and without a GPU. The crops do
            not depend on it. None uses one for each processor if there are enough files; a
            function that cannot be pickled, RetinaFace if onnxruntime has a GPU, and workers of
            a ``multiprocessing.Pool`` use 0. 0 starts none; next to other threads, the last digit
            of a box may then differ. With a function of your own script, call `crop` under
            ``if __name__ == "__main__":`` or use 0.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The content of ``crops.csv``, one row for each crop or file left out, sorted: ``file``,
        ``face`` (its number) of ``faces``, ``outcome`` (``face``, ``center``, ``copied``,
        ``skipped``, ``unreadable``), ``reason``, ``crop`` (its path in ``target``), box and
        landmarks in pixels of the photograph, to 0.1, ``score``, to 0.0001, ``photograph_hash``
        (a perceptual hash, in hexadecimal) and ``stamp``, the photograph's size
        in bytes and modification time.

    Raises:
        FileNotFoundError: If ``source`` is not a folder.
        ImportError: If the detector's package is not installed.
        ValueError: If an option is unknown or out of range, ``source`` has no image, or
            ``target`` has other files, crops of other settings or of another folder, is inside
            ``source``, or is being written by another process.
        RuntimeError: If the detector fails; the message names its photographs.

    Warns:
        UserWarning: If there are crops of photographs that are missing, for instance of one that
            was moved to another person's folder.

    Example:
        >>> table = crop("photographs", "crops", size=112, align=True)  # doctest: +SKIP
        >>> table["outcome"].value_counts()  # doctest: +SKIP
    """
    leave_unguarded_import()
    check_choice("faces", faces, FACES)
    check_choice("without", without, WITHOUT)
    check_choice("suffix", suffix, SUFFIXES)
    if processes is not None:
        check_number("processes", processes, 0, whole=True)
    if isinstance(detector, str):
        check_choice("detector", detector, list_detectors())
    elif options:
        raise ValueError(
            "Options are only for a detector given by name. "
            f"Received: {sorted(options)} with a function. Build them into the function."
        )
    margin = (0.0 if align else BOX_MARGIN) if margin is None else float(margin)
    size = _checked_size(size, margin, align, template)
    source, target = pathlib.Path(source), pathlib.Path(target)
    plan = CropPlan(source, target, size, margin, align, faces, without, suffix, template)
    names = unlabeled_folder(source).paths.tolist()
    _check_outputs(names, plan)
    if target.exists() and not target.is_dir():
        raise ValueError(f"Crops must be written to a folder. Received: {target}, a file.")
    target.mkdir(parents=True, exist_ok=True)
    chosen = dict(options or {})
    with locked(target):
        job = _Job(plan, detector, chosen, registered_load(detector))
        store = CropStore(plan)
        store.claim(describe_detector(detector), chosen)
        return _crop_names(names, job, store, processes, verbose)


def read_crops(target: str | os.PathLike) -> pd.DataFrame:
    """Reads the table that `crop` wrote.

    Args:
        target: The folder of crops.

    Returns:
        As `crop`.

    Raises:
        FileNotFoundError: If there is no table.

    Example:
        >>> table = read_crops("crops")  # doctest: +SKIP
        >>> table[table["outcome"] == "unreadable"]["reason"]  # doctest: +SKIP
    """
    path = pathlib.Path(target, CROPS)
    if not path.is_file():
        raise FileNotFoundError(
            f"A folder of crops must have {CROPS}, which is written at the end of a run. "
            f"Received: {os.fspath(target)!r}, which does not have it. Call `crop` again to resume."
        )
    return typed_rows(read_rows(path))


def _checked_size(size: int | None, margin: float, align: bool, template: str) -> int:
    standard = alignment.check_crop(None, margin, template)
    if template != DEFAULT_TEMPLATE and not align:
        raise ValueError(
            "`template` is for aligned crops. "
            f"Received: template={template!r} with align=False. Add align=True."
        )
    if size is None:
        size = BOX_SIZE if template == DEFAULT_TEMPLATE else standard
    return alignment.check_crop(size, margin, template)


def _check_outputs(names: Sequence[str], plan: CropPlan) -> None:
    """Refuses folders inside each other, and photographs whose crops would have one name."""
    target, source = plan.target.resolve(), plan.source.resolve()
    if target == source or source in target.parents or target in source.parents:
        raise ValueError(
            "Photographs and crops must be in separate folders. "
            f"Received: source={str(plan.source)!r}, target={str(plan.target)!r}."
        )
    owners: dict[str, str] = {}
    for name in names:
        outputs = {plan.output_name(name)}
        if plan.without == "copy":
            outputs.add(name)
        for output in outputs:
            if owners.setdefault(output, name) != name:
                raise ValueError(
                    "The crops of different photographs must have different names. Received: "
                    f"{owners[output]!r} and {name!r}, both to {output!r}. Rename one of them."
                )
    if plan.faces == "all" and plan.without == "copy":
        crops = {plan.output_name(name): name for name in names}
        for name in names:
            numbered = re.fullmatch(r"(.+)\.\d+(\.[^./]+)", name)
            owner = crops.get("".join(numbered.groups())) if numbered else None
            if owner is not None and owner != name:
                raise ValueError(
                    "A copied photograph must not have the name of another photograph's crop. "
                    f"Received: {name!r} and the crop of {owner!r}. "
                    "Rename it, or use without='center'."
                )


@dataclasses.dataclass(frozen=True)
class _Job:
    """The options of a run that its processes need."""

    plan: CropPlan
    detector: str | Detector
    options: dict[str, Any]
    load: Callable[..., Detector] | None = None  # of a registered name

    @property
    def own(self) -> Callable | None:
        """The user's function that each process needs."""
        return self.load if isinstance(self.detector, str) else self.detector


def _crop_names(
    names: list[str], job: _Job, store: CropStore, processes: int | None, verbose: int
) -> pd.DataFrame:
    store.load()
    done = {name for name in names if store.is_done(name)}
    # Jobs are cut from all files, so that a resumed run has the same jobs as an uninterrupted one.
    jobs = [names[start : start + FILES_A_JOB] for start in range(0, len(names), FILES_A_JOB)]
    jobs = [[name for name in files if name not in done] for files in jobs]
    with (
        store.journal() as journal,
        ProgressBar(len(names), "Cropping", initial=len(done), verbose=verbose) as bar,
    ):
        for results in _results(job, [files for files in jobs if files], processes):
            store.add(results, journal)
            bar.update(len(results))
    return store.finish(set(names))


def _results(
    job: _Job, jobs: Sequence[list[str]], processes: int | None
) -> Iterator[dict[str, list[Row]]]:
    files = sum(len(names) for names in jobs)
    if not files:
        return
    detector, options, own = job.detector, job.options, job.own
    if processes is None:
        processes = max(1, min(_processors(), files // FILES_A_PROCESS))
        if own is not None and (processes == 1 or not is_portable(own)):
            processes = 0
        if own is None and detector == "retinaface" and _has_gpu():  # which one process fills
            processes = 0
        if not can_start_processes():
            processes = 0
    if not processes:
        yield from map(_make_cropper(job), jobs)
        return
    if not can_start_processes():
        raise ValueError(
            "A worker of a multiprocessing.Pool cannot start processes. "
            f"Received: processes={processes} in such a worker. Use processes=0."
        )
    if own is not None and not is_portable(own):
        raise ValueError(
            "A detector for several processes must be a function of a module that they can import. "
            f"Received: {full_name(own)} with processes={processes}. Use processes=0, or "
            "move it to a module of its own."
        )
    if own is None and detector == "retinaface":
        options = {"threads": 1, **options}
    if own is None and detector in ("retinaface", "yunet"):
        options = {**options, "weights": _weights(detector, options)}
    job = dataclasses.replace(job, options=options)
    yield from spawned(_make_worker, (job,), jobs, processes)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # those that this process may use, where this is known
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _has_gpu() -> bool:
    runtime = import_package("onnxruntime", feature="RetinaFace", install="onnxruntime")
    return "CUDAExecutionProvider" in runtime.get_available_providers()


def _weights(detector: str, options: Mapping[str, Any]) -> str | os.PathLike:
    """The path of a detector's weights, found or downloaded once for all processes."""
    from kerasface.faces.detectors import retinaface, yunet

    module = retinaface if detector == "retinaface" else yunet
    weights: str | os.PathLike = options.get("weights") or module.cached_weights()
    return weights


def _make_worker(job: _Job) -> CropFiles:
    """A cropper in a process of its own, with one thread and without a GPU."""
    if isinstance(job.detector, str) and job.load is not None:
        register_detector(job.detector, job.load)
    elif isinstance(job.detector, str):  # every process would take all memory of the GPU
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if job.detector in ("mtcnn", "mmod"):  # sums depend on the number of threads, by a last bit
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return _make_cropper(job)


def _make_cropper(job: _Job) -> CropFiles:
    plan, detector = job.plan, job.detector
    loaded = load_detector(detector, **job.options) if isinstance(detector, str) else detector

    def crop_files(names: list[str]) -> dict[str, list[Row]]:
        readable: dict[str, np.ndarray] = {}
        results: dict[str, list[Row]] = {}
        stamps = {name: file_stamp(plan.source / name) for name in names}  # before reading them
        for name in names:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Pillow's warnings about odd EXIF blocks
                    readable[name] = images.decode((plan.source / name).read_bytes())
            except (OSError, ValueError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                results[name] = [empty_row(name, "unreadable", reason)]
        for (name, image), faces in zip(readable.items(), _detected(readable, loaded), strict=True):
            mark = images.perceptual_hash(image).tobytes().hex()
            rows = crop_image(plan, name, image, faces)
            results[name] = [row | {PHOTOGRAPH: mark} for row in rows]
        return {name: [row | {STAMP: stamps[name]} for row in results[name]] for name in names}

    return crop_files


def _detected(readable: Mapping[str, np.ndarray], detector: Detector) -> list[list[Face]]:
    try:
        return detect(list(readable.values()), detector) if readable else []
    except ValueError as error:  # its own, or because its result is not a list of faces
        raise ValueError(f"{error} Photographs: {list(readable)}.") from error
    except Exception as error:
        raise RuntimeError(
            f"The detector failed. Received: {type(error).__name__}: {error}, with one of the "
            f"photographs {list(readable)}. Remove it from the folder and crop again."
        ) from error
