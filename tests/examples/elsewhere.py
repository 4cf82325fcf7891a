"""A classifier that somebody else made: an ONNX file and what `radloop.yaml` says of it, without a line of code.

It differs from the chest model in everything that may differ: one channel of 128 × 96 pixels, tensors of its own names, two
findings in RadLex, probabilities of one member without the member dimension, no evidence, and one more output, as exporters
of scikit-learn add it. Its snapshot stayed where it was made.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from radloop.standards import package as standard
from radloop.standards.codes import RADLEX, Code
from radloop.standards.package import (
    Ages, Applicability, Calibration, Conformal, Finding, OutOfDistribution, Package, Pixels, Preparation, Tensors,
)

MODEL, ROWS, COLUMNS, WIDTH = "adult-chest", 128, 96, 2
PNEUMOTHORAX, EFFUSION = Code(RADLEX, "RID5352", "Pneumothorax"), Code(RADLEX, "RID34539", "Pleural effusion")
FIELD, SCORES, VECTOR, LABEL = "pixels:0", "probabilities", "pooled/vector", "label"
SLOPES, OFFSETS = (8.0, -8.0), (-4.0, 4.0)
INPUT, OUTPUTS = ("n", 1, ROWS, COLUMNS), {SCORES: ("n", 2), VECTOR: ("n", WIDTH), LABEL: ("n",)}
Shape = Sequence[str | int]


def weights(
    field: Shape = INPUT, outputs: dict[str, Shape] | None = None, *, more: Sequence[str] = (), kind: int = TensorProto.FLOAT,
) -> bytes:
    """Return a graph: sigmoid(±8 · mean grey ∓ 4) of each finding, and mean and greatest grey as the embedding.

    The arguments have it declare other shapes, further inputs or another type, as wrong files do.
    """
    nodes = [
        helper.make_node("GlobalAveragePool", [FIELD], ["mean4"]), helper.make_node("Flatten", ["mean4"], ["mean"]),
        helper.make_node("GlobalMaxPool", [FIELD], ["top4"]), helper.make_node("Flatten", ["top4"], ["top"]),
        helper.make_node("Concat", ["mean", "top"], [VECTOR], axis=1),
        helper.make_node("MatMul", ["mean", "slopes"], ["sloped"]), helper.make_node("Add", ["sloped", "offsets"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], [SCORES]), helper.make_node("ArgMax", [SCORES], [LABEL], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "elsewhere", [helper.make_tensor_value_info(name, kind, field) for name in (FIELD, *more)],
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name == LABEL else kind, shape)
            for name, shape in (OUTPUTS if outputs is None else outputs).items()
        ],
        [
            numpy_helper.from_array(np.array([SLOPES], np.float32), "slopes"),
            numpy_helper.from_array(np.array(OFFSETS, np.float32), "offsets"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model.SerializeToString()


def known(width: int = WIDTH, value: float = 1.0) -> bytes:
    """Return `ood.npz`: embeddings around 0.5 are known."""
    out = io.BytesIO()
    np.savez(out, mean=np.full(width, 0.5, np.float32), precision=np.eye(width, dtype=np.float32) * np.float32(value))
    return out.getvalue()


def package(onnx_file: bytes, strangers: bytes, **changes: Any) -> Package:
    """Describe it."""
    def answered(code: Code) -> Finding:
        return Finding(code, 0.4, Calibration(1.5, -0.5, "elsewhere", 0.1, 900), Conformal(0.3, 0.6, 0.9, 900))

    said: dict[str, Any] = {
        "model": MODEL, "version": 7,
        "intended_use": "Pneumothorax and effusion on chest radiographs of adults. Test data; no medical device.",
        "applicability": Applicability(
            ("DX", "CR"), ("CHEST",), ("AP", "PA"), Ages(18, 120), sexes=("F", "M"), pixels=Pixels(256, 192),
        ),
        "preparation": Preparation(ROWS, COLUMNS, (0.0,), (1.0,), channels=1, voi="full-range", resize="bilinear"),
        "findings": (answered(PNEUMOTHORAX), answered(EFFUSION)), "members": 1,
        "ood": OutOfDistribution(4.0, hashlib.sha256(strangers).hexdigest()), "weights_sha256": hashlib.sha256(onnx_file).hexdigest(),
        "snapshot_sha256": "5" * 64, "trained_at": "2025-11-02T10:00:00Z",
        "tensors": Tensors(FIELD, SCORES, VECTOR, "", "probabilities"),
    }
    return Package(**{**said, **changes})


def files(onnx_file: bytes | None = None, ood: bytes | None = None, **changes: Any) -> dict[str, bytes]:
    """Return the three files that whoever made it hands over."""
    graph, strangers = weights() if onnx_file is None else onnx_file, known() if ood is None else ood
    says = package(graph, strangers, **changes)
    return {standard.WEIGHTS_FILE: graph, standard.OOD_FILE: strangers, standard.FILE: standard.render(says).encode()}


def folder(home: Path, **changes: Any) -> Path:
    """Write them as a version's folder and return it."""
    home.mkdir(parents=True)
    for name, data in files(**changes).items():
        (home / name).write_bytes(data)
    return home


def expected(grey: float) -> tuple[float, float]:
    """Return the calibrated probability of both findings for an image of this mean grey (0 to 1)."""
    first, second = (
        1 / (1 + np.exp(-(1.5 * (slope * grey + offset) - 0.5))) for slope, offset in zip(SLOPES, OFFSETS, strict=True)
    )
    return float(first), float(second)


