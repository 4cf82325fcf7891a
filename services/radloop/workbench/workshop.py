"""The workshop: makes the very first model of a demo site, with retraining's own functions, from a handful of labels."""

from collections.abc import Callable, Sequence
from pathlib import Path

from radloop.retraining.adapters import backbone
from radloop.retraining.adapters.package import Base, assemble, from_folder, pack, publish
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.arrays import Floats, Singles, Truths
from radloop.retraining.domain.distribution import fit_distribution
from radloop.retraining.domain.heads import Recipe
from radloop.retraining.domain.learning import Learned, train_heads, uncalibrated
from radloop.retraining.domain.snapshot import Row, take, to_bytes
from radloop.standards import package as standard
from radloop.standards.codes import PNEUMONIA

MODEL = "chest"
READS = standard.Applicability(
    modalities=("DX", "CR"), body_parts=("CHEST",), views=("AP", "PA"), ages=standard.Ages(0.0, 18.0), orientations=("L\\F",),
)
"""The frontal chest radiographs of children: what the first model was trained on, and all that it reads."""
_UNKNOWN = "0" * 64
_INTENDED_USE = (
    "Frontal chest radiographs of children: probability of pneumonia, for the order of the reading list and as a"
    " preliminary result beside the radiologist's own. Demonstration; not a medical device."
)


def first_package(
    images: Singles, labels: Truths, patient_keys: Sequence[str], seed: int, out: Path, *,
    cache: Path | None = None, trained_at: str = "", tell: Callable[[str], object] = lambda _: None,
) -> Path:
    """Train on images [N, 3, 224, 224] as prepared for the model and return the version's folder `<out>/chest/1`.

    No acceptance set has seen this version: it carries raw scores and a conformal set that rules nothing out, and belongs
    in shadow until a site's own cases say more. `cache` keeps the exported backbone (default: beside the package); `tell`
    hears of each part as it begins: together they take most of a minute on a busy machine.
    """
    plan = load_plan()
    tell(f"{len(images)} images go through the backbone")
    embeddings = backbone.embed(backbone.load(), images)
    snapshot = take(
        (
            Row(
                case_id=f"seed-{place:04d}", patient_key=patient, finding=PNEUMONIA.value, present=bool(label), weight=1.0,
                source="reader", drawn="seed",
            ),
            embedding,
        )
        for place, (patient, label, embedding) in enumerate(zip(patient_keys, labels, embeddings, strict=True))
    )
    recipe = Recipe(plan.training.members, plan.training.penalty, seed)
    tell(f"{recipe.members} heads are trained")
    learned = Learned(
        train_heads(snapshot, (PNEUMONIA.value,), recipe), (uncalibrated(PNEUMONIA.value),),
        fit_distribution(snapshot.embeddings, plan.calibration.distribution_quantile),
    )
    nothing = standard.Finding(
        PNEUMONIA, 0.5, standard.Calibration(1.0, 0.0, "", 0.5, 0), standard.Conformal(0.0, 1.0, 1.0, 0),
    )
    described = standard.Package(
        model=MODEL, version=1, intended_use=_INTENDED_USE, applicability=READS,
        preparation=standard.IMAGENET, findings=(nothing,), members=plan.training.members, ood=None,
        weights_sha256=_UNKNOWN, snapshot_sha256=_UNKNOWN,
    )
    tell("the backbone is written as ONNX (the longest part)")
    exported = backbone.exported(cache or out / ".backbone")
    base = Base(described, site="", trained_at=trained_at)
    tell("the package is put together and checked")
    return publish(assemble(learned, to_bytes(snapshot), exported.read_bytes(), base), out)


def scored_on_random(
    embeddings: Singles, labels: Truths, patient_keys: Sequence[str], measured: Singles,
) -> Floats:
    """Return the mean member logits [M] that heads give to `measured` [M, D] when trained on these labels [N] instead of chosen ones.

    The recipe is the change-control plan's, as in every cycle: only which cases were labelled differs.
    """
    plan = load_plan().training
    rows = (
        (Row(case_id=f"random-{place:04d}", patient_key=patient, finding=PNEUMONIA.value, present=bool(label), weight=1.0,
             source="reader", drawn="random"), embedding)
        for place, (patient, label, embedding) in enumerate(zip(patient_keys, labels, embeddings, strict=True))
    )
    heads = train_heads(take(rows), (PNEUMONIA.value,), Recipe(plan.members, plan.penalty, plan.seed))
    return heads.mean(measured)[:, 0]


def package_tar(version: Path) -> bytes:
    """Return a version's folder as the tar that RetrainingService.AddModel takes."""
    return pack(from_folder(version))
