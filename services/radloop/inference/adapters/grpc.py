"""How reading stands, over gRPC."""

from collections.abc import Callable

import grpc

from radloop.inference.adapters.postgres import StoredDesk
from radloop.v1 import inference_service_pb2 as pb
from radloop.v1 import inference_service_pb2_grpc as rpc


class InferenceService(rpc.InferenceServiceServicer):
    """Readings by class, and the versions that read."""

    def __init__(self, desk: StoredDesk, warm: Callable[[str, int], bool]) -> None:
        self._desk, self._warm = desk, warm

    def register(self, server: grpc.Server) -> None:
        """Add this service to a server."""
        rpc.add_InferenceServiceServicer_to_server(self, server)

    def GetReadings(self, request: pb.GetReadingsRequest, context: grpc.ServicerContext) -> pb.GetReadingsResponse:  # noqa: ARG002, N802 - gRPC's shape
        """Count readings and name the versions that Triton should hold, and whether each takes traffic."""
        counts = self._desk.counts()
        return pb.GetReadingsResponse(
            waiting=counts["waiting"], running=counts["running"], done=counts["done"],
            versions=[
                pb.LoadedVersion(
                    model=model.model, version=one.version, stage=one.stage, ready=self._warm(model.model, one.version),
                )
                for model in self._desk.models() for one in model.to_load()
            ],
        )
