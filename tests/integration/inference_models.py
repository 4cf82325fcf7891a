"""A tiny chest model as a real package: ONNX weights in Triton's python backend, told by `radloop.yaml`."""

import hashlib
import io
import py_compile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.examples.inference import package

from radloop.retraining.adapters.triton_config import configurations
from radloop.standards import package as standard
from radloop.standards.package import OutOfDistribution

WIDTH = 3


def tiny_weights(bias: float) -> bytes:
    """Return a graph: embedding = mean of each channel, both members = mean of the first channel + bias, evidence = 7x7 means."""
    pooled = helper.make_node("GlobalAveragePool", ["IMAGE"], ["means"])
    flat = helper.make_node("Flatten", ["means"], ["EMBEDDING"])
    score = helper.make_node("MatMul", ["EMBEDDING", "W"], ["scores"])
    shifted = helper.make_node("Add", ["scores", "B"], ["shifted"])
    members = helper.make_node("Reshape", ["shifted", "shape"], ["MEMBERS"])
    cells = helper.make_node("AveragePool", ["IMAGE"], ["cells"], kernel_shape=[32, 32], strides=[32, 32])
    first = helper.make_node("Slice", ["cells", "zero", "one", "axis"], ["EVIDENCE"])
    graph = helper.make_graph(
        [pooled, flat, score, shifted, members, cells, first], "tiny",
        [helper.make_tensor_value_info("IMAGE", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [
            helper.make_tensor_value_info("MEMBERS", TensorProto.FLOAT, ["n", 2, 1]),
            helper.make_tensor_value_info("EMBEDDING", TensorProto.FLOAT, ["n", WIDTH]),
            helper.make_tensor_value_info("EVIDENCE", TensorProto.FLOAT, ["n", 1, 7, 7]),
        ],
        [
            numpy_helper.from_array(np.array([[1, 1], [0, 0], [0, 0]], np.float32), "W"),
            numpy_helper.from_array(np.array([bias, bias], np.float32), "B"),
            numpy_helper.from_array(np.array([-1, 2, 1], np.int64), "shape"),
            numpy_helper.from_array(np.array([0], np.int64), "zero"), numpy_helper.from_array(np.array([1], np.int64), "one"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()


def publish(repository: Path, version: int, bias: float = 0.0) -> str:
    """Write a version of the chest model into the repository and return the SHA-256 of its weights."""
    home = repository / "chest"
    folder = home / str(version)
    folder.mkdir(parents=True)
    templates = files("radloop.retraining") / "adapters" / "triton"
    weights, out = tiny_weights(bias), io.BytesIO()
    np.savez(out, mean=np.zeros(WIDTH, np.float32), precision=np.eye(WIDTH, dtype=np.float32))
    (folder / "model.onnx").write_bytes(weights)
    (folder / "model.py").write_text((templates / "model.py").read_text())
    (folder / "ood.npz").write_bytes(out.getvalue())
    (home / "config.pbtxt").write_text(configurations(weights, "chest")[0])
    described = replace(
        package(version), weights_sha256=hashlib.sha256(weights).hexdigest(),
        ood=OutOfDistribution(100.0, hashlib.sha256(out.getvalue()).hexdigest()),
    )
    # As retraining publishes it: a first load that wrote the bytecode would change the folder and reload every version.
    py_compile.compile(str(folder / "model.py"), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    standard.write(folder, described)
    return described.weights_sha256
