"""A tiny segmenter that is a real package: discs around clicks, and an embedding that is the image itself, as ONNX."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from radloop.standards.codes import BODY_PARTS
from radloop.standards.package import Applicability, Behind, Encoder, Preparation, Segmenter

SIDE = 256
RADIUS = 30.0


def segmenter(version: int = 1) -> Segmenter:
    """Describe the tiny segmenter; its hashes are those of nothing yet."""
    return Segmenter(
        model="lungs", version=version, intended_use="Outlines lungs, for a reader", applicability=Applicability(("DX", "CR")),
        preparation=Preparation(SIDE, SIDE, (0.0,) * 3, (1.0,) * 3), structures=(BODY_PARTS["LUNG"],),
        encoder=Behind("lungs-encoder", 1, "0" * 64), weights_sha256="0" * 64, snapshot_sha256="2" * 64,
    )


def encoder() -> Encoder:
    """Describe the encoder behind it."""
    return Encoder(model="lungs-encoder", version=1, preparation=segmenter().preparation, weights_sha256="0" * 64)


def tiny_encoder() -> bytes:
    """Return a graph whose 256 channels are all the image's mean of 4 × 4 pixels."""
    nodes = [
        helper.make_node("AveragePool", ["IMAGE"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("ReduceMean", ["cells", "axis"], ["grey"], keepdims=1),
        helper.make_node("Expand", ["grey", "shape"], ["wide"]),
        helper.make_node("Cast", ["wide"], ["IMAGE_EMBEDDING"], to=TensorProto.FLOAT16),
    ]
    return _model(
        nodes, [("IMAGE", TensorProto.FLOAT, [1, 3, SIDE, SIDE])], [("IMAGE_EMBEDDING", TensorProto.FLOAT16, [1, 256, 64, 64])],
        {"axis": np.array([1], np.int64), "shape": np.array([1, 256, 64, 64], np.int64)},
    )


def tiny_decoder(quality: float = 0.5) -> bytes:
    """Return a graph that outlines a disc around each positive click, less those around negative ones.

    QUALITY is the mean of the embedding plus `quality`, so that one can tell whether the right image was encoded.
    """
    grid = np.arange(SIDE, dtype=np.float32)
    held = {
        "xs": np.broadcast_to(grid[None, None, None, :], (1, 1, SIDE, SIDE)).copy(),
        "ys": np.broadcast_to(grid[None, None, :, None], (1, 1, SIDE, SIDE)).copy(),
        "x_at": np.array([0], np.int64), "y_at": np.array([1], np.int64), "two": np.array([2], np.int64),
        "last": np.array([2], np.int64), "spread": np.array([2, 3], np.int64), "tokens": np.array([1], np.int64),
        "scale": np.array(-1.0 / RADIUS**2, np.float32), "positive": np.array(1.0, np.float32), "negative": np.array(0.0, np.float32),
        "edge": np.array(float(np.exp(-1.0)), np.float32),
        "everything": np.array([1, 2, 3], np.int64), "more": np.array(quality, np.float32),
        "three_at": np.array([3], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Slice", ["PLACES", "x_at", "y_at", "last"], ["px"]), node("Slice", ["PLACES", "y_at", "two", "last"], ["py"]),
        node("Unsqueeze", ["px", "three_at"], ["px4"]), node("Unsqueeze", ["py", "three_at"], ["py4"]),
        node("Sub", ["xs", "px4"], ["dx"]), node("Sub", ["ys", "py4"], ["dy"]),
        node("Mul", ["dx", "dx"], ["dx2"]), node("Mul", ["dy", "dy"], ["dy2"]), node("Add", ["dx2", "dy2"], ["d2"]),
        node("Mul", ["d2", "scale"], ["scaled"]), node("Exp", ["scaled"], ["bumps"]),
        node("Equal", ["LABELS", "positive"], ["is_positive"]), node("Equal", ["LABELS", "negative"], ["is_negative"]),
        node("Cast", ["is_positive"], ["plus"], to=TensorProto.FLOAT), node("Cast", ["is_negative"], ["minus"], to=TensorProto.FLOAT),
        node("Sub", ["plus", "minus"], ["sign"]), node("Unsqueeze", ["sign", "spread"], ["sign4"]),
        node("Mul", ["bumps", "sign4"], ["signed"]), node("ReduceSum", ["signed", "tokens"], ["sum"], keepdims=0),
        node("Sub", ["sum", "edge"], ["discs"]),
        # What was outlined before is read and of no weight, so that the graph has all the inputs of a real one.
        node("Mul", ["MASK", "negative"], ["nothing"]), node("Add", ["discs", "nothing"], ["LOGITS"]),
        node("Cast", ["EMBEDDING"], ["single"], to=TensorProto.FLOAT), node("ReduceMean", ["single", "everything"], ["mean"], keepdims=0),
        node("Add", ["mean", "more"], ["guess"]), node("Mul", ["HAS_MASK", "negative"], ["none"]),
        node("Add", ["guess", "none"], ["QUALITY"]),
    ]
    return _model(
        nodes,
        [("EMBEDDING", TensorProto.FLOAT16, [1, 256, 64, 64]), ("PLACES", TensorProto.FLOAT, [1, "drawn", 2]),
         ("LABELS", TensorProto.FLOAT, [1, "drawn"]), ("MASK", TensorProto.FLOAT, [1, SIDE, SIDE]), ("HAS_MASK", TensorProto.FLOAT, [1])],
        [("LOGITS", TensorProto.FLOAT, [1, SIDE, SIDE]), ("QUALITY", TensorProto.FLOAT, [1])], held,
    )


def _model(nodes: list, inputs: list, outputs: list, held: dict) -> bytes:
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info(*one) for one in inputs], [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(value, name) for name, value in held.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()
