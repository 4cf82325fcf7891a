"""One graph, one pass: the exported backbone with an ensemble of heads put on top, and the heads read back from it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.checker import ValidationError

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.triton_config import parsed
from radloop.retraining.domain.arrays import Floats
from radloop.retraining.domain.heads import Heads

_WEIGHT, _BIAS = "heads.weight", "heads.bias"
_EVIDENCE_WEIGHT, _EVIDENCE_BIAS = "evidence.weight", "evidence.bias"
_SHAPE = "members.shape"
_OURS = {_WEIGHT, _BIAS, _EVIDENCE_WEIGHT, _EVIDENCE_BIAS, _SHAPE}
_CELLS = 7


def _without_heads(weights: bytes) -> onnx.ModelProto:
    """Return the graph up to FEATURES, whether or not it carries heads of ours."""
    model = parsed(weights)
    nodes = [node for node in model.graph.node if not node.name.startswith("radloop.")]
    if not any("FEATURES" in node.output for node in nodes):
        msg = "the model is not on the shared backbone: no heads can be put on it here"
        raise Permanent(msg)
    kept = [one for one in model.graph.initializer if one.name not in _OURS]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept)
    return model


def graph(backbone: bytes, heads: Heads) -> bytes:
    """Put heads on a backbone, or in the place of those that the version before carried on the very same backbone.

    Returns the ONNX file: IMAGE [N, 3, 224, 224] to MEMBERS [N, K, F], EMBEDDING [N, D] and EVIDENCE [N, F, 7, 7].

    MEMBERS are member logits. EVIDENCE is the mean head applied to each cell of the feature map (class activation map,
    Zhou et al. 2016), so its mean over the cells is the mean member logit.
    """
    model = _without_heads(backbone)
    members, findings, width = heads.weight.shape

    def constant(name: str, values: Floats) -> TensorProto:
        return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)

    model.graph.initializer.extend([
        constant(_WEIGHT, heads.weight.reshape(members * findings, width)),
        constant(_BIAS, heads.bias.reshape(members * findings)),
        constant(_EVIDENCE_WEIGHT, heads.weight.mean(axis=0).reshape(findings, width, 1, 1)),
        constant(_EVIDENCE_BIAS, heads.bias.mean(axis=0)),
        numpy_helper.from_array(np.array([0, members, findings], dtype=np.int64), _SHAPE),
    ])
    model.graph.node.extend([
        helper.make_node("GlobalAveragePool", ["FEATURES"], ["pooled"], name="radloop.pool"),
        helper.make_node("Flatten", ["pooled"], ["EMBEDDING"], name="radloop.embedding"),
        helper.make_node("Gemm", ["EMBEDDING", _WEIGHT, _BIAS], ["logits"], name="radloop.heads", transB=1),
        helper.make_node("Reshape", ["logits", _SHAPE], ["MEMBERS"], name="radloop.members"),
        helper.make_node("Conv", ["FEATURES", _EVIDENCE_WEIGHT, _EVIDENCE_BIAS], ["EVIDENCE"], name="radloop.evidence"),
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
    held = {one.name: numpy_helper.to_array(one) for one in parsed(weights).graph.initializer if one.name in _OURS}
    if set(held) != _OURS:
        msg = "the model has no heads on the shared backbone: it cannot be compared here"
        raise Permanent(msg)
    _, members, findings = held[_SHAPE].tolist()
    weight, bias = held[_WEIGHT].astype(np.float64), held[_BIAS].astype(np.float64)
    return Heads(weight.reshape(members, findings, -1), bias.reshape(members, findings))
