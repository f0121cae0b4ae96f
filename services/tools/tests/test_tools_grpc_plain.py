"""Messages as JSON and back: whatever the shape, the same as protobuf's own mapping."""

import pytest
from google.protobuf import descriptor_pb2, empty_pb2, json_format, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import example, given
from hypothesis import strategies as st
from ringback_packs import pool_of
from ringback_tools.adapters.grpc_plain import parser_of, printer_of

_SCALARS = {
    "a_text": FieldDescriptor.TYPE_STRING,
    "a_flag": FieldDescriptor.TYPE_BOOL,
    "an_int": FieldDescriptor.TYPE_INT32,
    "a_count": FieldDescriptor.TYPE_UINT32,
    "a_long": FieldDescriptor.TYPE_SINT64,
    "a_share": FieldDescriptor.TYPE_DOUBLE,
}


def _message_types():
    """One type whose fields are single scalars, and one that has everything else as well."""
    file = descriptor_pb2.FileDescriptorProto(name="shapes.proto", package="shapes", syntax="proto3")
    kind = file.enum_type.add(name="Kind")
    for number, name in enumerate(("KIND_NONE", "KIND_SOME", "KIND_MORE")):
        kind.value.add(name=name, number=number)
    for type_name in ("Plain", "Rich"):
        message = file.message_type.add(name=type_name)
        for name, of_type in _SCALARS.items():
            message.field.add(name=name, number=len(message.field) + 1, type=of_type, label=1)
        message.field.add(
            name="kind", number=20, type=FieldDescriptor.TYPE_ENUM, type_name=".shapes.Kind", label=1
        )
        message.oneof_decl.add(name="_maybe")
        message.field.add(
            name="maybe",
            number=21,
            type=FieldDescriptor.TYPE_STRING,
            label=1,
            oneof_index=0,
            proto3_optional=True,
        )
    rich = file.message_type[1]
    rich.field.add(name="raw", number=30, type=FieldDescriptor.TYPE_BYTES, label=1)
    rich.field.add(name="many", number=31, type=FieldDescriptor.TYPE_STRING, label=3)
    rich.field.add(
        name="inner", number=32, type=FieldDescriptor.TYPE_MESSAGE, type_name=".shapes.Plain", label=1
    )
    pool = pool_of([file])
    return tuple(
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shapes.{name}"))
        for name in ("Plain", "Rich")
    )


PLAIN, RICH = _message_types()
_LONG = st.integers(-(2**63), 2**63 - 1)
_VALUES = {
    "a_text": st.text(max_size=8),
    "a_flag": st.booleans(),
    "an_int": st.integers(-(2**31), 2**31 - 1),
    "a_count": st.integers(0, 2**32 - 1),
    "a_long": _LONG,
    "a_share": st.floats(),
    "kind": st.integers(0, 5),
    "maybe": st.text(max_size=3),
}
_plain = st.fixed_dictionaries({}, optional=_VALUES).map(lambda values: PLAIN(**values))
_rich = st.fixed_dictionaries(
    {},
    optional=_VALUES
    | {"raw": st.binary(max_size=4), "many": st.lists(st.text(max_size=3), max_size=3), "inner": _plain},
).map(lambda values: RICH(**values))
_well_known = st.sampled_from(
    [
        empty_pb2.Empty(),
        timestamp_pb2.Timestamp(seconds=7),
        struct_pb2.Value(number_value=1.5),
        struct_pb2.Struct(),
    ]
)
_given = st.dictionaries(
    st.sampled_from([*_VALUES, "aText", "anInt", "aLong", "raw", "many", "inner", "nonsense"]),
    st.none()
    | st.booleans()
    | st.text(max_size=4)
    | st.sampled_from(["KIND_SOME", "12", "-3", "NaN"])
    | st.integers(-(2**70), 2**70)
    | st.integers(-3, 3)
    | st.floats()
    | st.lists(st.text(max_size=2), max_size=2)
    | st.dictionaries(
        st.sampled_from(["aText", "an_int"]), st.integers(0, 3) | st.text(max_size=2), max_size=2
    ),
    max_size=4,
)


def _parsed(parse):
    """The message as bytes, or that it was refused."""
    try:
        return parse().SerializeToString(deterministic=True)
    except json_format.ParseError:
        return "refused"


@given(_plain | _rich | _well_known)
def test_a_message_is_shown_as_protobuf_shows_it(message):
    expected = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    shown = printer_of(type(message))(message)
    assert shown == expected
    assert repr(sorted(shown.items()) if isinstance(shown, dict) else shown) == repr(
        sorted(expected.items()) if isinstance(expected, dict) else expected
    ), "a number is no text, and a flag is no number"


@given(_given, st.sampled_from([PLAIN, RICH]))
@example({"kind": float("inf")}, PLAIN)
def test_values_are_taken_and_refused_as_protobuf_does(values, message):
    try:
        expected = _parsed(lambda: json_format.ParseDict(values, message()))
    except OverflowError:
        # Protobuf trips over infinity where an enum belongs.
        expected = "refused"
    assert _parsed(lambda: parser_of(message)(values)) == expected


@pytest.mark.parametrize("values", [{}, {"seconds": 3}, "2026-11-22T00:00:00Z", "nonsense", 7])
@pytest.mark.parametrize("message", [timestamp_pb2.Timestamp, struct_pb2.Value, struct_pb2.Struct])
def test_types_with_a_form_of_their_own_keep_it(values, message):
    def outcome(parse):
        try:
            return parse().SerializeToString(deterministic=True)
        except Exception as error:
            return type(error)

    assert outcome(lambda: parser_of(message)(values)) == outcome(
        lambda: json_format.ParseDict(values, message())
    )
