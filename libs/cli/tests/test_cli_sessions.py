"""`ringback sessions …` against a small admin service: what is asked, what is printed, how it ends."""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from ringback.events.v1 import events_pb2
from ringback.session.v1 import session_pb2 as pb
from ringback.session.v1 import session_pb2_grpc
from ringback_cli import main as command
from ringback_cli.commands.following import TRIES_MAX
from ringback_cli.stack.stack import Reachable
from ringback_testkit.ports import free_port


class Desk(session_pb2_grpc.SessionAdminServiceServicer):
    """One replica that holds `sess_1`, and knows of `sess_2` that waits; keeps what was asked."""

    def __init__(self):
        self.asked = []
        # What becomes of the call while it is watched, one word for each watch.
        self.moves = []
        self.sessions = [
            pb.SessionInfo(
                session_id="sess_1", tenant="local", pack="airline", agent="baggage", phase="idle"
            ),
            pb.SessionInfo(session_id="sess_2", tenant="local", phase="waiting", owner="session-2"),
        ]
        self.sessions[0].transcript.add(role="user", text="Hello [there].")

    def _keep(self, request, context):
        self.asked.append(request)
        if getattr(request, "session_id", "") not in ("", "sess_1"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no replica holds such a session")

    def ListSessions(self, request, context):  # noqa: N802
        self._keep(request, context)
        found = [info for info in self.sessions if request.tenant in ("", info.tenant)]
        return pb.ListSessionsResponse(sessions=found)

    def GetSession(self, request, context):  # noqa: N802
        self._keep(request, context)
        return pb.GetSessionResponse(session=self.sessions[0])

    def WatchSession(self, request, context):  # noqa: N802
        self._keep(request, context)
        at = self.moves.pop(0) if self.moves else "stays"
        if at == "nowhere":
            context.abort(grpc.StatusCode.NOT_FOUND, "no replica holds such a session")
        yield pb.WatchSessionResponse(session=self.sessions[0])
        if at == "leaves":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the call is not held here any more: watch again")
        ended = events_pb2.SessionEvent(session_ended=events_pb2.SessionEnded(reason="client_closed"))
        yield pb.WatchSessionResponse(fact=ended)
        if at == "ends and leaves":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the call is not held here any more: watch again")

    def InjectMessage(self, request, context):  # noqa: N802
        self._keep(request, context)
        return pb.InjectMessageResponse()

    def TakeOver(self, request, context):  # noqa: N802
        self._keep(request, context)
        if request.operator.reason == "mine" and not request.force:
            context.abort(grpc.StatusCode.ABORTED, "anna (since 2026-01-05T09:30:00Z) has this call")
        return pb.TakeOverResponse()

    def HandBack(self, request, context):  # noqa: N802
        self._keep(request, context)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nobody has taken this call over")

    def TransferSession(self, request, context):  # noqa: N802
        self._keep(request, context)
        return pb.TransferSessionResponse()

    def EndSession(self, request, context):  # noqa: N802
        self._keep(request, context)
        return pb.EndSessionResponse()

    def Drain(self, request, context):  # noqa: N802
        self._keep(request, context)
        return pb.DrainResponse(running=1, owner="session-1")

    def GetUsage(self, request, context):  # noqa: N802
        self._keep(request, context)
        rows = [pb.UsageRow(of="gpt-x", reports=1, text_in=1200, unpriced=3)]
        return pb.GetUsageResponse(rows=rows if request.session_id else [], unreported=2)


@pytest.fixture
def desk():
    served = Desk()
    server = grpc.server(ThreadPoolExecutor(4))
    session_pb2_grpc.add_SessionAdminServiceServicer_to_server(served, server)
    served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield served
    server.stop(None).wait()


@pytest.fixture
def ringback(monkeypatch, capsys):
    """Run a command as a user does: its exit code and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ringback", "sessions", *arguments])
        code = 0
        try:
            command.main()
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture
def sessions(desk, ringback):
    """A command for one replica."""

    def run(*arguments, admin=desk.address):
        return ringback(*arguments, "--admin", admin)

    return run


def test_calls_of_all_replicas_are_listed_and_those_that_wait_are_named_so(sessions):
    code, said = sessions("list")
    assert code == 0
    assert "sess_1" in said
    assert "waiting" in said
    assert "2 calls" in said


def test_one_call_is_one_call(sessions, desk):
    desk.sessions.pop()
    assert "1 call\n" in sessions("list")[1]
    assert "0 calls" in sessions("list", "--tenant", "nobody")[1]


def test_what_was_said_is_shown_as_it_was_said(sessions):
    code, said = sessions("show", "sess_1")
    assert code == 0
    assert "user      Hello [there]." in said


@pytest.mark.parametrize("act", ["show", "watch", "takeover", "end", "usage"])
def test_a_call_that_nobody_holds_is_one_line_and_exit_code_1(sessions, act):
    assert sessions(act, "sess_9") == (1, "ringback: no replica holds such a session\n")


def test_a_call_is_watched_to_its_end(sessions):
    code, said = sessions("watch", "sess_1")
    assert code == 0
    assert "ended: client_closed" in said


@pytest.fixture
def at_once(monkeypatch):
    """Without the pauses between the tries to find a call."""
    monkeypatch.setattr("ringback_cli.commands.following.PAUSE_MAX_S", 0.0)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_call_that_moves_to_another_replica_is_watched_on(sessions, desk, at_once, options):
    desk.sessions[0].owner, desk.sessions[0].epoch = "session-2", 2
    desk.moves = ["leaves", "nowhere", "nowhere", "stays"]
    code, said = sessions("watch", "sess_1", *options)
    assert code == 0
    assert said.count("looking for who has it now") == 1
    assert "session-2 has the call now, epoch 2: watching on" in said
    assert "client_closed" in said
    assert len(desk.asked) == 4
    if not options:
        assert said.count("Hello [there].") == 1, "what was said is not told twice"


def test_a_call_that_is_not_found_again_is_given_up_after_so_many_tries(sessions, desk, at_once):
    desk.moves = ["leaves", *["nowhere"] * 99]
    code, said = sessions("watch", "sess_1")
    assert (code, "no replica holds such a session" in said) == (1, True)
    assert len(desk.asked) == 1 + TRIES_MAX


def test_a_replica_that_shows_the_call_and_loses_it_again_and_again_is_given_up(sessions, desk, at_once):
    desk.moves = ["leaves"] * 99
    code, said = sessions("watch", "sess_1")
    assert (code, "not held here any more" in said) == (1, True)
    assert len(desk.asked) == 1 + TRIES_MAX


def test_a_call_that_has_ended_is_not_looked_for(sessions, desk, at_once):
    desk.moves = ["ends and leaves"]
    assert sessions("watch", "sess_1")[0] == 0
    assert len(desk.asked) == 1


@pytest.mark.parametrize(
    ("options", "meant", "said"),
    [
        ((), pb.INJECT_AS_SPOKEN, "will be spoken"),
        (("--note",), pb.INJECT_AS_SYSTEM_NOTE, "the model was told"),
        (("--assistant", "--reply"), pb.INJECT_AS_ASSISTANT_NOTE, "the model was told"),
    ],
)
def test_a_person_speaks_or_tells_the_model(sessions, desk, options, meant, said):
    assert sessions("say", "sess_1", "Hello.", *options) == (0, said + "\n")
    (asked,) = desk.asked
    assert getattr(asked, "as") == meant
    assert (asked.text, asked.reply, bool(asked.operator.actor)) == ("Hello.", "--reply" in options, True)


@pytest.mark.parametrize("options", [("--reply",), ("--note", "--assistant")])
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(sessions, desk, options):
    code, _said = sessions("say", "sess_1", "Hello.", *options)
    assert code == 2
    assert not desk.asked


def test_who_acts_and_why_is_told(sessions, desk):
    assert sessions("takeover", "sess_1", "--reason", "asked for")[0] == 0
    assert sessions("transfer", "sess_1", "--person", "--reason", "asked for")[0] == 0
    assert sessions("end", "sess_1", "--reason", "asked for")[0] == 0
    takeover, transfer, end = desk.asked
    assert {takeover.operator.reason, transfer.operator.reason, end.reason} == {"asked for"}
    assert takeover.operator.actor == transfer.operator.actor == end.actor != ""


def test_a_call_is_taken_from_another_person_only_when_that_is_said(sessions, desk):
    code, said = sessions("takeover", "sess_1", "--reason", "mine")
    assert (code != 0, "anna (since 2026-01-05T09:30:00Z)" in said) == (True, True)
    assert sessions("takeover", "sess_1", "--reason", "mine", "--force")[0] == 0
    assert [asked.force for asked in desk.asked] == [False, True]


def test_acts_on_a_call_of_another_person_are_forced_only_when_that_is_said(sessions, desk):
    for act in (("say", "sess_1", "Hello."), ("transfer", "sess_1", "--person"), ("handback", "sess_1")):
        sessions(*act)
        sessions(*act, "--force")
    assert [asked.force for asked in desk.asked] == [False, True] * 3


@pytest.mark.parametrize("options", [(), ("--agent", "baggage", "--person")])
def test_a_transfer_goes_to_one_place(sessions, desk, options):
    assert sessions("transfer", "sess_1", *options)[0] == 2
    assert not desk.asked


def test_a_refusal_of_the_replica_is_exit_code_2(sessions):
    assert sessions("handback", "sess_1") == (2, "ringback: nobody has taken this call over\n")


def test_a_replica_is_drained_by_name(sessions, desk):
    assert sessions("drain", "--replica", "session-1") == (0, "session-1 drains: 1 call there\n")
    assert desk.asked[0].owner == "session-1"


def test_usage_is_of_a_session_or_of_a_tenant(sessions):
    assert "1,200" in sessions("usage", "sess_1")[1]
    assert "nothing was used" in sessions("usage", "--tenant", "local")[1]
    assert sessions("usage")[0] == 2


@pytest.mark.parametrize("admin", ["127.0.0.1", "no.such.host.invalid:1"])
def test_an_address_where_nobody_answers_is_named_with_what_was_expected(sessions, admin):
    address = admin if ":" in admin else f"{admin}:{free_port()}"
    code, said = sessions("list", admin=address)
    assert code == 1
    assert f"no session replica answers at {address}: --admin takes" in said.replace("\n", " ")


@pytest.fixture
def stack(monkeypatch):
    """A stack whose session processes answer at these addresses."""

    def has(*admins):
        found = Reachable(1, "", "", admins[0], "", "", "", "", "", admin_addresses=admins)
        monkeypatch.setattr("ringback_cli.commands.sessions.find_stack", lambda: found)

    return has


def test_another_process_of_the_stack_answers_for_one_that_is_away(ringback, stack, desk):
    stack(f"127.0.0.1:{free_port()}", desk.address)
    assert ringback("end", "sess_1") == (0, "sess_1 is over\n")
    assert len(desk.asked) == 1
    assert ringback("handback", "sess_1")[1] == "ringback: nobody has taken this call over\n"


def test_with_all_of_them_away_each_is_named(ringback, stack):
    gone = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]
    stack(*gone)
    code, said = ringback("list")
    assert code == 1
    assert f"answers at {gone[0]}, {gone[1]}:" in said.replace("\n", " ")
