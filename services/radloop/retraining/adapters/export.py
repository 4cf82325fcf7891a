"""One graph, one pass: the exported backbone with an ensemble of heads put on top, and the heads read back from it."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper
from onnx.checker import ValidationError

from radloop.kit.errors import Permanent
from radloop.retraining.domain.arrays import Floats
from radloop.retraining.domain.heads import Heads

_WEIGHT, _BIAS = "heads.weight", "heads.bias"
_EVIDENCE_WEIGHT, _EVIDENCE_BIAS = "evidence.weight", "evidence.bias"
_CELLS = 7


def graph(backbone: Path, heads: Heads) -> bytes:
    """Return the ONNX file: IMAGE [N, 3, 224, 224] to MEMBERS [N, K, F], EMBEDDING [N, D] and EVIDENCE [N, F, 7, 7].

    MEMBERS are member logits. EVIDENCE is the mean head applied to each cell of the feature map (class activation map,
    Zhou et al. 2016), so its mean over the cells is the mean member logit.
    """
    model = onnx.load(backbone)
    members, findings, width = heads.weight.shape

    def constant(name: str, values: Floats) -> TensorProto:
        return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)

    model.graph.initializer.extend([
        constant(_WEIGHT, heads.weight.reshape(members * findings, width)),
        constant(_BIAS, heads.bias.reshape(members * findings)),
        constant(_EVIDENCE_WEIGHT, heads.weight.mean(axis=0).reshape(findings, width, 1, 1)),
        constant(_EVIDENCE_BIAS, heads.bias.mean(axis=0)),
        numpy_helper.from_array(np.array([0, members, findings], dtype=np.int64), "members.shape"),
    ])
    model.graph.node.extend([
        helper.make_node("GlobalAveragePool", ["FEATURES"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["EMBEDDING"], name="embedding"),
        helper.make_node("Gemm", ["EMBEDDING", _WEIGHT, _BIAS], ["logits"], name="heads", transB=1),
        helper.make_node("Reshape", ["logits", "members.shape"], ["MEMBERS"], name="members"),
        helper.make_node("Conv", ["FEATURES", _EVIDENCE_WEIGHT, _EVIDENCE_BIAS], ["EVIDENCE"], name="evidence"),
    ])
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (
            ("MEMBERS", (members, findings)), ("EMBEDDING", (width,)), ("EVIDENCE", (findings, _CELLS, _CELLS)),
        )
    )
    try:
        onnx.checker.check_model(model)
    except ValidationError as broken:
        msg = "the exported graph is not valid ONNX"
        raise Permanent(msg) from broken
    return model.SerializeToString()


def heads_of(weights: bytes) -> Heads:
    """Read the heads back from an ONNX file written by `graph`; raise Permanent where it holds none."""
    try:
        model = onnx.load_from_string(weights)
        held = {one.name: one for one in model.graph.initializer if one.name in {_WEIGHT, _BIAS, "members.shape"}}
        _, members, findings = numpy_helper.to_array(held["members.shape"]).tolist()
        weight = numpy_helper.to_array(held[_WEIGHT]).astype(np.float64)
        bias = numpy_helper.to_array(held[_BIAS]).astype(np.float64)
    except (DecodeError, KeyError, ValueError, TypeError) as missing:
        msg = "the model has no heads on the shared backbone: it cannot be compared here"
        raise Permanent(msg) from missing
    return Heads(weight.reshape(members, findings, -1), bias.reshape(members, findings))
