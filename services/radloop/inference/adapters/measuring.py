"""What was said, as metrics: by model, version, stage and finding, never by case."""

from radloop.inference.domain.reading import Told
from radloop.kit import telemetry
from radloop.kit.flow import Outcome


def measure(outcome: Outcome) -> None:
    """Measure what a reading said, once: a repeat was measured when it was settled."""
    if outcome.repeated or not isinstance(outcome.answer, Told):
        return
    for said in outcome.answer.measured:
        labels = {"model": said.model, "version": str(said.version), "stage": said.stage}
        for finding, probability in said.probabilities:
            telemetry.observe("radloop_probability", probability, finding=finding, **labels)
        # Counted also where nothing is added, so that a share can be told of a version that knows all it sees.
        telemetry.count("radloop_out_of_distribution_total", int(said.out_of_distribution), **labels)
        if said.ood_ratio is not None:
            telemetry.observe("radloop_ood_ratio", said.ood_ratio, **labels)
        if said.quality is not None:
            telemetry.observe("radloop_image_grey_mean", said.quality.mean, **labels)
            telemetry.observe("radloop_image_contrast", said.quality.contrast, **labels)
            telemetry.observe("radloop_image_at_ends", said.quality.at_ends, **labels)
