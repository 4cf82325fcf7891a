"""Whether a model reads these images: as `radloop.yaml` says, and nothing unknown is taken for fit."""

from radloop.events.common import Instance
from radloop.inference.domain.case import Images
from radloop.standards.package import Applicability


def refusal(images: Images, procedure: str, rule: Applicability) -> str:
    """Return why the model does not read this study at all, empty where it may; names tags, never a patient's values."""
    ages = rule.ages
    if ages is not None:
        if images.age_years is None:
            return "PatientAge (0010,1010) is unknown, or contradicts PatientBirthDate (0010,0030)"
        if not ages.low <= images.age_years < ages.high:
            return f"PatientAge (0010,1010) is outside {ages.low:g} to {ages.high:g} years"
    if rule.sexes and images.sex not in rule.sexes:
        return f"PatientSex (0010,0040) is unknown or not one of {', '.join(rule.sexes)}"
    if rule.procedure_codes and procedure not in rule.procedure_codes:
        return "the procedure's code is not one the model reads"
    if not images.instances:
        return "the study has no acquired image"
    if not eligible(images, rule):
        return "; ".join(sorted({image_refusal(one, rule) for one in images.instances}))
    return ""


def eligible(images: Images, rule: Applicability) -> tuple[Instance, ...]:
    """Return the images that the model reads."""
    return tuple(one for one in images.instances if not image_refusal(one, rule))


def image_refusal(image: Instance, rule: Applicability) -> str:
    """Return why the model does not read one image, empty where it does."""
    for tag, value, allowed in (
        ("Modality (0008,0060)", image.modality, rule.modalities),
        ("BodyPartExamined (0018,0015)", image.body_part, rule.body_parts),
        ("ViewPosition (0018,5101)", image.view, rule.views),
    ):
        if allowed and not value:
            return f"{tag} is unknown"
        if allowed and value.upper() not in allowed:
            return f"{tag} is {_short(value)}, the model reads {', '.join(allowed)}"
    if rule.pixels is not None and (image.rows < rule.pixels.rows_at_least or image.columns < rule.pixels.columns_at_least):
        least = f"{rule.pixels.rows_at_least} × {rule.pixels.columns_at_least}"
        return f"Rows (0028,0010) × Columns (0028,0011) are {image.rows} × {image.columns}, the model needs {least}"
    return "NumberOfFrames (0028,0008): the model reads single frames" if image.frames > 1 else ""


def _short(value: str) -> str:
    """Return a coded value as it may be quoted: what is no code may be anything, also a name."""
    return value.upper() if value.replace("_", "").isalnum() and len(value) <= 16 else "no such code"
