"""Owns the wire form of what replicas tell each other."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from ringback.tools.v1 import tools_pb2
from ringback_errors import InvalidInput

from ringback_tools.domain.notes import Note, Said, StopAsked, Stopped

__all__ = ["note_from_bytes", "note_to_bytes"]


def note_to_bytes(note: Note, *, replica: str) -> bytes:
    """The note as `replica` tells it."""
    tenant, session_id, action_id = note.key
    message = tools_pb2.ReplicaNote(
        schema_version=1, replica=replica, tenant=tenant, session_id=session_id, action_id=action_id
    )
    match note.body:
        case StopAsked(epoch=epoch):
            message.stop_asked.epoch = epoch
        case Stopped():
            message.stopped.SetInParent()
        case Said(message=said):
            message.said.message = said
    return message.SerializeToString()


def note_from_bytes(data: bytes) -> tuple[str, Note | None]:
    """Who tells, and the note; None for a kind that this version does not know. Raises InvalidInput."""
    try:
        message = tools_pb2.ReplicaNote.FromString(data)
    except DecodeError:
        raise InvalidInput("expected a ReplicaNote", field="payload") from None
    key = (message.tenant, message.session_id, message.action_id)
    body: StopAsked | Stopped | Said
    match message.WhichOneof("body"):
        case "stop_asked":
            body = StopAsked(message.stop_asked.epoch)
        case "stopped":
            body = Stopped()
        case "said":
            body = Said(message.said.message)
        case _:
            return message.replica, None
    return message.replica, Note(key, body)
