"""A knock at a broker's door, as kafka-python's clients will knock: TCP, TLS, SASL; it says which setting keeps us out.

The client library tries for half a minute and then says that it could not bootstrap, whatever the reason: a wrong password, an
authority that does not fit and a broker that is away all look alike. What refuses us here is waited for, never given up: a
password is rotated at the broker and here, and one of the two is first.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from radloop.kit.errors import Misconfigured

CONNECT_S, ANSWER_S = 2.0, 5.0
_TLS_ALERT = b"\x15\x03"  # how a TLS record begins that refuses; to a Kafka client it would be an endless message
_ILLEGAL_SASL_STATE, _UNSUPPORTED_MECHANISM = 34, 33
_EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 10, 62, 64  # what OpenSSL calls them
_MOST = 1_000_000


@dataclass(frozen=True)
class Key:
    """What opens the door: protocol, mechanism, user and password, the TLS context (none where the line is plain)."""

    security: str
    mechanism: str
    user: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None
    ca_file: str

    @property
    def sasl(self) -> bool:
        """Whether it signs in."""
        return self.security.startswith("SASL")


def context(ca_file: str) -> ssl.SSLContext:
    """Return a TLS context that checks certificate and host name; raise Misconfigured where the authorities cannot be read."""
    if not ca_file:
        return ssl.create_default_context()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise Misconfigured("RADLOOP_KAFKA_CA_FILE holds no certificate in PEM") from None
    except OSError as unreadable:
        raise Misconfigured(f"RADLOOP_KAFKA_CA_FILE cannot be read: {unreadable.strerror}") from None
    return made


def knock(host: str, port: int, key: Key) -> str:
    """Say why this broker would not let us in, empty where it does."""
    where = f"{host}:{port}"
    try:
        plain = socket.create_connection((host, port), timeout=CONNECT_S)
    except OSError as away:
        return f"kafka is away: {type(away).__name__} at {where} (RADLOOP_KAFKA)"
    with plain:
        plain.settimeout(ANSWER_S)
        if key.tls is None:
            return _speak(plain, where, key)
        try:
            wrapped = key.tls.wrap_socket(plain, server_hostname=host.rstrip("."))
        except ssl.SSLCertVerificationError as unfit:
            return _unfit(unfit.verify_code, host, where, key)
        except (ssl.SSLError, OSError):
            return f"kafka does not speak TLS at {where}: look at RADLOOP_KAFKA_SECURITY, and at the port in RADLOOP_KAFKA"
        with wrapped:
            return _speak(wrapped, where, key)


def _unfit(code: int, host: str, where: str, key: Key) -> str:
    if code in {_OTHER_HOST, _OTHER_ADDRESS}:
        return f"kafka's certificate at {where} is not for {host}: name the brokers in RADLOOP_KAFKA as their certificates do"
    if code == _EXPIRED:
        return f"kafka's certificate at {where}, or its authority's in RADLOOP_KAFKA_CA_FILE, has expired"
    if key.ca_file:
        return f"kafka's certificate at {where} is not signed by the authority in RADLOOP_KAFKA_CA_FILE"
    return f"kafka's certificate at {where} is signed by no authority this machine knows: set RADLOOP_KAFKA_CA_FILE"


def _speak(line: socket.socket, where: str, key: Key) -> str:
    ask = _asking(line)
    try:
        ask(ApiVersionsRequest(version=0))
        if key.sasl:
            refusal = _sign_in(ask, key)
            if refusal:
                return refusal
        ask(MetadataRequest(topics=[], version=4, allow_auto_topic_creation=False))
    except _HungUpError as gone:
        if key.tls is None and gone.said.startswith(_TLS_ALERT):
            return f"kafka speaks TLS at {where}: set RADLOOP_KAFKA_SECURITY to SSL or SASL_SSL"
        if not key.sasl:
            return f"kafka hung up at {where}: RADLOOP_KAFKA_SECURITY is {key.security}; it may ask for SASL, or for TLS"
        return f"kafka hung up while we signed in at {where}: look at RADLOOP_KAFKA_USER, RADLOOP_KAFKA_PASSWORD, RADLOOP_KAFKA_SECURITY"
    except (OSError, KafkaError, ValueError) as odd:
        return f"kafka is away: {type(odd).__name__} from {where}; look at RADLOOP_KAFKA and RADLOOP_KAFKA_SECURITY"
    return ""


def _sign_in(ask: Callable[[Any], Any], key: Key) -> str:
    offered = ask(SaslHandshakeRequest(mechanism=key.mechanism, version=1))
    if offered.error_code == _ILLEGAL_SASL_STATE:
        return f"kafka asks nobody to sign in, and RADLOOP_KAFKA_SECURITY is {key.security}: set it to what this port is"
    if offered.error_code == _UNSUPPORTED_MECHANISM:
        told = ", ".join(offered.mechanisms)
        return f"kafka does not know {key.mechanism}: set RADLOOP_KAFKA_MECHANISM to one of {told}"
    mechanism = get_sasl_mechanism(key.mechanism)(
        security_protocol=key.security, sasl_mechanism=key.mechanism, sasl_plain_username=key.user, sasl_plain_password=key.password,
    )
    while not mechanism.is_done():
        answer = ask(SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes(), version=1))
        if answer.error_code:
            return "kafka refused the user or the password: look at RADLOOP_KAFKA_USER and RADLOOP_KAFKA_PASSWORD"
        mechanism.receive(answer.auth_bytes)
    return ""


class _HungUpError(Exception):
    def __init__(self, said: bytes) -> None:
        super().__init__()
        self.said = said


def _asking(line: socket.socket) -> Callable[[Any], Any]:
    """Return a function that sends one request and returns its answer; it raises _HungUpError where the other end does not."""
    protocol = KafkaProtocol(client_id="radloop", receive_message_max_bytes=_MOST)

    def ask(request: Any) -> Any:
        protocol.send_request(request)
        said = b""
        try:
            line.sendall(protocol.send_bytes())
            while True:
                some = line.recv(65_536)
                said += some
                if not some or said.startswith(_TLS_ALERT):
                    raise _HungUpError(said)
                answers = protocol.receive_bytes(some)
                if answers:
                    return answers[0][1]
        except (ConnectionError, ssl.SSLError):
            raise _HungUpError(said) from None

    return ask
