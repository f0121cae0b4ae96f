"""`ringback memory …` against small services of its own: what is asked in which order, what is printed, how it ends."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from ringback.memory.v1 import memory_pb2 as pb
from ringback.memory.v1 import memory_pb2_grpc
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_cli.main import app
from typer.testing import CliRunner

CALLER = "+49 30 1234567"


class House(
    memory_pb2_grpc.MemoryServiceServicer,
    session_pb2_grpc.SessionAdminServiceServicer,
    tools_pb2_grpc.ToolsServiceServicer,
):
    """The three services in one, for one caller with two calls; keeps what was asked, in order."""

    def __init__(self):
        self.asked = []
        self.record = pb.CallerRecord(
            tenant="local", caller_id=CALLER, consent=pb.CALLER_CONSENT_GIVEN, calls=2
        )
        self.sessions = ["sess_1", "sess_2"]
        self.under_way = set()
        self.outcomes_left = set()

    def GetCaller(self, request, context):  # noqa: N802
        if request.caller_id != CALLER:
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing is kept of this caller")
        return pb.GetCallerResponse(record=self.record)

    def SetCallerConsent(self, request, context):  # noqa: N802
        self.asked.append(("consent", request.consent, request.source))
        return pb.SetCallerConsentResponse(record=self.record)

    def ForgetCaller(self, request, context):  # noqa: N802
        kept = sorted(request.keep_session_ids)
        self.asked.append(("look",) if request.look_only else ("forget", kept, bool(request.actor)))
        gone = [one for one in self.sessions if one not in kept]
        left = 20 if request.look_only else 0
        places = [pb.ErasedPlace(place="EVENTS", found=20, removed=20 - left, left=left)]
        if not request.look_only:
            self.sessions = kept
        return pb.ForgetCallerResponse(session_ids=gone, places=places, complete=not kept and not left)

    def EraseSession(self, request, context):  # noqa: N802
        if isinstance(request, tools_pb2.EraseSessionRequest):
            self.asked.append(("tools", request.session_id))
            left = int(request.session_id in self.outcomes_left)
            return tools_pb2.EraseSessionResponse(found=2, removed=2 - left, left=left)
        self.asked.append(("session", request.session_id or request.caller_id))
        if request.session_id in self.under_way:
            context.abort(grpc.StatusCode.ABORTED, "the session has not ended")
        return session_pb2.EraseSessionResponse(found=3, removed=3)


@pytest.fixture
def house():
    served = House()
    server = grpc.server(ThreadPoolExecutor(4))
    memory_pb2_grpc.add_MemoryServiceServicer_to_server(served, server)
    session_pb2_grpc.add_SessionAdminServiceServicer_to_server(served, server)
    tools_pb2_grpc.add_ToolsServiceServicer_to_server(served, server)
    served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield served
    server.stop(0).wait(5)


def ask(house, command, *arguments):
    return CliRunner().invoke(app, ["memory", command, *arguments, "--memory", house.address])


def forget(house):
    return ask(house, "forget", CALLER, "--session", house.address, "--tools", house.address)


def test_show_prints_what_is_kept_and_never_as_markup(house):
    house.record.unresolved_tasks.add(title="[red]receipt", kind="promise", status="open", owed_by="agent")
    house.record.preferences.add(name="seat", value_json='"window"')
    house.record.last_outcomes.add(tool="pay", arguments_json="{}", status="ok")
    shown = ask(house, "show", CALLER)
    assert shown.exit_code == 0
    for text in ("consent given, 2 calls", "[red]receipt", 'seat: "window"', "pay {}: ok"):
        assert text in shown.output


def test_export_is_the_record_as_json_on_standard_output_or_in_a_file(house, tmp_path):
    exported = ask(house, "export", CALLER)
    assert json.loads(exported.output)["caller_id"] == CALLER
    out = tmp_path / "caller.json"
    assert ask(house, "export", CALLER, "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text()) == json.loads(exported.output)


def test_a_caller_of_whom_nothing_is_kept_is_said_to_be_one(house):
    for command in ("show", "export"):
        shown = ask(house, command, "nobody")
        assert shown.exit_code != 0
        assert "nothing is kept of caller 'nobody'" in str(shown.exception or shown.output)


@pytest.mark.parametrize(
    ("options", "consent"),
    [([], pb.CALLER_CONSENT_GIVEN), (["--refused"], pb.CALLER_CONSENT_REFUSED)],
)
def test_consent_says_which_and_where_it_comes_from(house, options, consent):
    assert ask(house, "consent", CALLER, *options).exit_code == 0
    assert house.asked == [("consent", consent, "command line")]


def test_forget_looks_has_the_owners_erase_and_asks_memory_last(house):
    done = forget(house)
    assert done.exit_code == 0, done.output
    assert house.asked == [
        ("look",),
        ("session", CALLER),
        ("session", "sess_1"),
        ("tools", "sess_1"),
        ("session", "sess_2"),
        ("tools", "sess_2"),
        ("forget", [], True),
    ]
    rows = [line.split() for line in done.output.splitlines()]
    assert rows[:4] == [
        ["place", "found", "removed", "left"],
        ["EVENTS", "20", "20", "0"],
        ["outcomes", "4", "4", "0"],
        ["sessions", "9", "9", "0"],
    ]
    assert "AUDIT is append-only" in done.output
    assert "2 calls, nothing is left" in done.output


def test_an_action_that_is_still_running_is_named_and_its_call_is_found_again(house):
    house.outcomes_left = {"sess_2"}
    first = forget(house)
    assert first.exit_code == 3
    assert house.asked[-1] == ("forget", ["sess_2"], True)
    assert "still held: sess_2 in outcomes" in first.output
    house.outcomes_left = set()
    again = forget(house)
    assert again.exit_code == 0
    assert "1 calls, nothing is left" in again.output


def test_a_call_that_has_not_ended_is_left_alone_by_all(house):
    house.under_way = {"sess_1"}
    done = forget(house)
    assert done.exit_code == 3
    assert ("tools", "sess_1") not in house.asked
    assert house.asked[-1] == ("forget", ["sess_1"], True)
    assert "under way: sess_1" in done.output


def test_without_addresses_and_without_a_stack_it_says_what_lacks(house, monkeypatch, tmp_path):
    monkeypatch.setenv("RINGBACK_VAR", str(tmp_path))
    done = ask(house, "forget", CALLER)
    assert done.exit_code != 0
    assert "no stack runs here" in str(done.exception or done.output)
