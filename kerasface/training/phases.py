"""The loop over the phases of a training."""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasface.callbacks import Curves
from kerasface.embedding.training import EmbeddingHead, EmbeddingTraining
from kerasface.models.heads import split_model
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.runs import run as run_files
from kerasface.training.assemble import accuracy, compile_model, dtype_policy, set_trainable
from kerasface.training.averaging import EvaluateAverage
from kerasface.training.batches import feature_batches, image_batches, start_head
from kerasface.training.checkpoint import Checkpoint, ModelFile
from kerasface.training.embedding_head import build_head, start_centers
from kerasface.training.epoch_log import EpochLog, shown_verbosity
from kerasface.training.features import HeadTraining
from kerasface.training.job import Job
from kerasface.training.keeper import EpochChecks, Keeper
from kerasface.training.progress import Phase, Progress
from kerasface.training.schedules import Plateau
from kerasface.training.user_callbacks import UserCallbacks

# Seconds between two saved epochs on cached features, which take less time than saving.
CACHED_INTERVAL = 10.0


def fit_phases(job: Job) -> None:
    """Trains every phase that has epochs left, each compiled again.

    Args:
        job: The training. Its model has the weights of the last epoch afterwards.
    """
    # One head for all phases, so that its centers continue with the network.
    head = build_head(job.recipe, job.train) if job.recipe.embedding else None
    checkpoint = Checkpoint(job.folder, job.model, head.variables if head else ())
    completed = checkpoint.epochs() if job.resume else 0
    progress = Progress(job.folder, job.recipe, completed)
    fitting = PhaseFitting(job, progress, checkpoint)
    if job.recipe.head_start != "random" and not completed:
        start_head(job, fitting.checks.note_unreadable)
    if head is not None and not completed:
        start_centers(job, head, fitting.checks.note_unreadable)
    restores = completed > 0
    for phase in progress.remaining():
        fitted, backbone = _compiled(job, phase, head)
        if restores:
            checkpoint.restore(fitted.optimizer, phase=phase.index)
            restores = False
        fitting.fit(phase, fitted, backbone)
        if fitted.stop_training and not progress.stopped_early(phase):
            break  # a callback of the user ends the training, not only the phase
    fitting.users.end()
    # Also for a run that was finished before, whose report counts the trainable parameters.
    set_trainable(job.model, job.recipe.parts())


def _compiled(
    job: Job, phase: Phase, head: EmbeddingHead | None
) -> tuple[keras.Model, keras.Model | None]:
    """The compiled model that a phase fits, and the backbone where the head trains alone."""
    model, part = job.model, phase.recipe
    set_trainable(model, job.recipe.parts()[: phase.index + 1])
    fitted, backbone = model, None
    with dtype_policy(job.recipe.precision):  # decides whether the loss is scaled
        if head is not None:
            frozen = part.trainable == "head"
            fitted = EmbeddingTraining(model, head, frozen_backbone=frozen)
        elif part.trainable == "head":
            backbone, top = split_model(model)
            fitted = top if part.cached else HeadTraining(backbone, top)
    compile_model(fitted, part, job.train)
    # Callbacks of the user see the whole model.
    if head is not None:
        model.compile(fitted.optimizer)
    elif fitted is not model:
        model.compile(fitted.optimizer, fitted.loss, weighted_metrics=accuracy(job.train))
    return fitted, backbone


class PhaseFitting:
    """Fits phases, with the callbacks that live as long as the training.

    Args:
        job: The training.
        progress: Its progress.
        checkpoint: Its checkpoint.
    """

    def __init__(self, job: Job, progress: Progress, checkpoint: Checkpoint):
        self.job = job
        self.progress = progress
        self.checkpoint = checkpoint
        self.model_file = ModelFile(job.folder, job.recipe, job.model)
        self.checks = EpochChecks(job.folder, job.model, job.recipe.max_unreadable)
        self.users = UserCallbacks(job.callbacks, job.model)

    def fit(self, phase: Phase, fitted: keras.Model, backbone: keras.Model | None) -> None:
        """Fits a phase from its first epoch that is not complete.

        Args:
            phase: The phase.
            fitted: The compiled model.
            backbone: Images to features; needed for cached features.
        """
        batches, validation = self._batches(phase, backbone)
        log = self._log(phase)
        try:
            fitted.fit(
                batches,
                # Epochs and steps are counted over the whole run.
                epochs=phase.end,
                initial_epoch=self.progress.first_epoch(phase),
                steps_per_epoch=steps_per_epoch(self.job.train, self.job.recipe.batch_size),
                shuffle=False,  # the stream shuffles
                validation_data=validation,
                callbacks=[*([log] if log else []), *self._callbacks(phase)],
                verbose=0,
            )
        finally:
            if log is not None:
                log.close()

    def _log(self, phase: Phase) -> EpochLog | None:
        """What shows the progress of a phase; None if nothing should."""
        verbose, job = shown_verbosity(self.job.verbose), self.job
        if not verbose:
            return None
        if len(self.progress.phases) > 1:
            number = f"Phase {phase.index + 1} of {len(self.progress.phases)}"
            print(f"{number}: epochs {phase.start + 1} to {phase.end}", flush=True)
        return EpochLog(
            job.recipe.total_epochs,
            len(job.train),
            steps_per_epoch(job.train, job.recipe.batch_size),
            0 if job.validation is None else len(job.validation),
            verbose=verbose,
        )

    def _batches(
        self, phase: Phase, backbone: keras.Model | None
    ) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
        first, note = self.progress.first_epoch(phase), self.checks.note_unreadable
        if phase.recipe.cached and backbone is not None:
            return feature_batches(self.job, backbone, first_epoch=first, on_unreadable=note)
        return image_batches(self.job, first_epoch=first, on_unreadable=note)

    def _callbacks(self, phase: Phase) -> list[keras.callbacks.Callback]:
        folder, recipe = self.job.folder, self.job.recipe
        interval = CACHED_INTERVAL if phase.recipe.cached else 0.0
        curves = Curves(
            folder / run_files.CURVES,
            title=f"{folder.name}: {recipe.model}",
            resume=self.progress.first_epoch(phase) > 0,
            interval=interval,
        )
        average = EvaluateAverage() if recipe.ema else None
        keeper = Keeper(
            self.progress,
            phase,
            self.checkpoint,
            self.model_file,
            average=average,
            interval=interval,
        )
        # The average comes first: the others see the weights that were validated. The plateau
        # comes after the curves, which show the rate of the epoch that ends, and before the
        # checkpoint.
        return [
            *([average] if average else []),
            curves,
            *([Plateau(self.progress, phase)] if phase.recipe.schedule == "plateau" else []),
            self.checks,
            keeper,
            *([self.users] if self.users.callbacks else []),
        ]
