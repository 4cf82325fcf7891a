"""Whether every reference of a Bundle names something of the right type: a check that validators leave out.

The types that an element may refer to come from the R4B models, put right where R4 allows fewer
(hl7.org/fhir/R4/diagnosticreport-definitions.html and its siblings).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fhir.resources.R4B import get_fhir_model_class

_SUBJECTS: Final = frozenset({"Patient", "Group", "Device", "Location"})
_R4: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("DiagnosticReport", "subject"): _SUBJECTS,
    ("Observation", "subject"): _SUBJECTS,
}
_LITERAL: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")

Json = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A reference that is not what it should be: the resource it stands in, the element, what is wrong."""

    resource: str
    element: str
    wrong: str


def check(bundle: Json) -> tuple[Problem, ...]:
    """Return what is wrong with the references of a Bundle, which must hold all that it refers to literally.

    A reference by identifier alone must say its type; a literal one must resolve inside the Bundle (by fullUrl, by
    `Type/id`, or as `#contained`) to a resource of a type that R4 allows there, and agree with its own `type`.
    """
    entries = [entry for entry in bundle.get("entry", []) if isinstance(entry.get("resource"), dict)]
    types: dict[str, str] = {}
    for entry in entries:
        resource = entry["resource"]
        kind = str(resource.get("resourceType", ""))
        for name in (entry.get("fullUrl"), f"{kind}/{resource['id']}" if resource.get("id") else None):
            if name:
                types[name] = kind
    return tuple(problem for entry in entries for problem in _of_resource(entry["resource"], types))


def _of_resource(resource: Json, types: dict[str, str]) -> Iterator[Problem]:
    kind = str(resource.get("resourceType", ""))
    inner = {
        f"#{contained['id']}": str(contained.get("resourceType", ""))
        for contained in resource.get("contained", []) if contained.get("id")
    }
    for element, found, allowed in _references(resource, get_fhir_model_class(kind), ""):
        limits = _R4.get((kind, element), allowed)
        wrong = _wrong(found, limits, {**types, **inner})
        if wrong:
            yield Problem(f"{kind}/{resource.get('id', '')}", element, wrong)


def _wrong(found: Json, allowed: frozenset[str], types: dict[str, str]) -> str:
    literal, said = found.get("reference"), found.get("type")
    if literal is None:
        if not found.get("identifier"):
            return "names nothing"
        if not said:
            return "is by identifier alone and does not say its type"
        actual = str(said)
    else:
        local = _LITERAL.search(literal)
        known = types.get(literal) or (types.get(f"{local[1]}/{local[2]}") if local else None)
        if known is None:
            return "does not resolve"
        actual = known
        if said and said != actual:
            return f"says {said} and is {actual}"
    return "" if not allowed or "Resource" in allowed or actual in allowed else f"may not be {actual}"


def _references(element: Json, model: Any, path: str) -> Iterator[tuple[str, Json, frozenset[str]]]:
    """Walk an element along its model; yields (path, reference, allowed types)."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, value in element.items():
        field = fields.get(name)
        if field is None or name == "contained":
            continue
        here = f"{path}.{name}" if path else name
        extra = field.json_schema_extra or {}
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                continue
            if "enum_reference_types" in extra:
                yield here, item, frozenset(extra["enum_reference_types"])
            elif (inner := _model_of(field.annotation)) is not None:
                yield from _references(item, inner, here)


def _model_of(annotation: Any) -> Any:
    """Find the model inside Optional[List[...Type]]."""
    inner = getattr(annotation, "__args__", None)
    if inner:
        return next((found for part in inner if (found := _model_of(part)) is not None), None)
    name = str(getattr(annotation, "__resource_type__", "") or getattr(annotation, "__name__", ""))
    name = name.removesuffix("Type")
    try:
        return get_fhir_model_class(name) if name and name[0].isupper() else None
    except (KeyError, ValueError, LookupError):
        return None
