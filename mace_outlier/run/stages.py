"""The stages of a training: a robust loss for each, and which of them is in progress since when."""

from ..losses.robust import RobustLoss


class Stages:
    """Robust losses by stage ("stage_one", "stage_two"), and the course through them.

    Each keeps statistics of its own, because another loss has another scale: stage two weighs energies some thousand
    times more. What is known of the labels goes with the training from one to the next.
    """

    def __init__(self) -> None:
        self.losses: dict[str, RobustLoss] = {}
        self.first_epoch = 0  # of the stage in progress
        self.loss: RobustLoss | None = None  # of that stage

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the losses of all stages use."""
        return tuple(sorted({label for loss in self.losses.values() for label in loss.per_configuration.labels}))

    @property
    def name(self) -> str:
        """Of the stage in progress; "" before the first."""
        return next((name for name, loss in self.losses.items() if loss is self.loss), "")

    def enter(self, loss: RobustLoss, epoch: int) -> None:
        """Go on with an epoch of this loss; a stage keeps the weights of the one before in its first epoch."""
        before = self.loss
        loss.weigher.inherits = before not in (None, loss)
        if loss is not before:
            self.loss, self.first_epoch = loss, epoch
            if before is not None:
                loss.distribution.follow(before.distribution)

    def go_on(self, name: str, first_epoch: int) -> None:
        """Take it that this stage is in progress since an epoch, as a checkpoint says."""
        self.loss, self.first_epoch = self.losses.get(name), first_epoch
