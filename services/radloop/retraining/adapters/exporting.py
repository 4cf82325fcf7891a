"""Writing a torch module as an ONNX file: once, whole, quietly, and named by what it was made from."""

import hashlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import torch

OPSET = 18


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter out of the log; what fails still raises."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        logger = logging.getLogger("torch.onnx")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


def export(
    module: torch.nn.Module, examples: Sequence[torch.Tensor], target: Path, inputs: Sequence[str], outputs: Sequence[str],
    free: Mapping[str, Mapping[int, Any]],
) -> Path:
    """Write a module as ONNX to `target` unless it is there; readers see the whole file or none.

    `free` names, by the arguments of `forward`, the dimensions that may differ from the examples'.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".onnx")
    os.close(handle)
    with _quiet():
        torch.onnx.export(
            module, tuple(examples), name, input_names=list(inputs), output_names=list(outputs), opset_version=OPSET,
            dynamic_shapes={name: dict(dims) for name, dims in free.items()}, external_data=False,
        )
    _forget_where(Path(name))
    # Also when two processes export at once.
    Path(name).replace(target)
    return target


def _forget_where(file: Path) -> None:
    """Take out what the exporter notes of the code it ran through: the same weights shall give the same bytes on any machine."""
    model = onnx.load(file)
    for one in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.functions):
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    onnx.save(model, file)


def named_by(*content: bytes) -> str:
    """Return a short name for what is made of this content by this exporter: a new wheel is exported anew."""
    return hashlib.sha256(b"|".join((*content, f"{torch.__version__}|{OPSET}".encode()))).hexdigest()[:16]
