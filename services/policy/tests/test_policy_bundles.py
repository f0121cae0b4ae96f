"""What makes a bundle, and what its author is told when it is broken."""

import json

import pytest
from ringback_policy.domain.compiling import compile_bundle
from ringback_policy.domain.facts import FACTS_MAX
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.domain.vocabulary import SideEffect

HEAD = b'version: "1"\nowner: team\n'


def findings_of(airline, *, tools=None, **files):
    content = {**airline.minimal, **{f"{name}.yaml": HEAD + text.encode() for name, text in files.items()}}
    with pytest.raises(BrokenBundleError) as broken:
        compile_bundle(content, pack="tiny", tools=tools)
    return [(found.file, found.line, found.rule, found.message) for found in broken.value.findings]


def rule(**fields):
    given = {"id": "r", "gate": "action", "effect": "deny", "on_error": "deny", **fields}
    quoted = {
        key: json.dumps(value) if key == "when" else value
        for key, value in given.items()
        if value is not None
    }
    lines = [f"    {key}: {value}" for key, value in quoted.items()]
    return "rules:\n  -" + "\n".join(lines)[3:]


@pytest.mark.parametrize("pack", ["airline", "passthrough"])
def test_the_bundles_that_ship_compile_without_findings(airline, pack):
    tools = airline.tools if pack == "airline" else {}
    assert compile_bundle(airline.files(pack), pack=pack, tools=tools).warnings == ()


def test_layout_and_comments_do_not_make_another_bundle_but_content_and_pack_do(airline):
    files = airline.files("airline")
    same = {**files, "safety.yaml": b"# another comment\n" + files["safety.yaml"]}
    other = {**files, "safety.yaml": files["safety.yaml"].replace(b"hijack", b"highjack")}
    digests = [compile_bundle(f, pack="airline").bundle.digest for f in (files, same, other)]
    digests.append(compile_bundle(files, pack="second").bundle.digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_missing_file_and_an_unknown_one_are_named(airline):
    with pytest.raises(BrokenBundleError) as broken:
        compile_bundle({"actions.yaml": HEAD, "tone.yaml": HEAD}, pack="tiny")
    named = {found.file: found.message for found in broken.value.findings}
    assert named["domain.yaml"] == "expected, but missing"
    assert "unknown file" in named["tone.yaml"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("rules: [", 3, "expected YAML"),
        ("a: &x 1\nb: *x\n", 4, "no aliases"),
        ("rules: []\nrules: []\n", 4, "stands twice"),
        ("1: 2\n", 3, "expected a text key"),
        ("unheard: 1\n", 3, "unknown field `unheard`"),
        ("rules:\n  - id: A B\n    gate: action\n    effect: deny\n", 4, "regex"),
        ("rules:\n  - id: a\n    gate: door\n    effect: deny\n", 5, "invalid enum value 'door'"),
        ("rules:\n  - id: a\n    gate: action\n", 4, "missing required field `effect`"),
    ],
)
def test_a_malformed_file_is_refused_with_the_line(airline, text, line, said):
    ((file, found_line, _, message),) = findings_of(airline, domain=text)
    assert (file, found_line) == ("domain.yaml", line)
    assert said in message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"when": "args.x >"}, "expected a CEL expression"),
        ({"when": "factz.x"}, "unknown variable 'factz'"),
        ({"when": "facts.x"}, "unknown fact 'x'"),
        ({"when": "session.turns > 1"}, "unknown field session.turns; expected one of"),
        ({"when": "utterance.text == 'x'"}, "unknown variable 'utterance'; at gate action"),
        ({"when": "shout(args.x)"}, "unknown function 'shout'"),
        ({"when": "session.turn > 'x'"}, "the types do not fit"),
        ({"when": "session.turn"}, "expected a condition that is true or false"),
        ({"when": "session.totals.look.success > 1"}, "unknown field session.totals.look.success"),
        ({"when": "session.turn > 1", "on_error": None}, "on_error: expected"),
        ({"effect": "confirm", "gate": "input"}, "confirm is for gate action only"),
        ({"gate": "input", "action": "look"}, "action: only rules at gates action and result"),
        ({"states": "You said so."}, "states: only a rule with effect confirm"),
        ({"needs": "[weather]"}, "needs: unknown fact 'weather'"),
        ({"say": '"{args.x"'}, "expected every { to be closed"),
        ({"say": '"{args.x|colour}"'}, "expected a kind of id, money"),
        ({"when": "(" * 120 + "true" + ")" * 120}, "expected a CEL expression"),
        ({"when": "'" + "x" * 2100 + "' == 'y'"}, "at most 2000 characters"),
        (
            {"when": "[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, true))))"},
            "at most 3 comprehensions",
        ),
    ],
)
def test_a_broken_rule_is_named_with_what_was_expected(airline, fields, said):
    found = findings_of(airline, domain=rule(**fields))
    assert all((file, line, name) == ("domain.yaml", 4, "r") for file, line, name, _ in found)
    assert any(said in message for *_, message in found)


def test_all_broken_rules_are_reported_at_once(airline):
    rules = "rules:\n" + "".join(
        f"  - {{id: r{n}, gate: action, effect: deny, on_error: deny, when: nope{n}}}\n" for n in range(3)
    )
    assert [line for _, line, *_ in findings_of(airline, domain=rules)] == [4, 5, 6]


def test_an_id_stands_only_once_in_all_files(airline):
    text = rule(on_error=None)
    found = findings_of(airline, domain=text, safety=text)
    assert "stands already in safety.yaml:4" in found[0][3]


def test_an_argument_that_the_action_does_not_declare_is_found(airline):
    actions = "actions: {look: {arguments: {place: string}}}"
    found = findings_of(airline, actions=actions, domain=rule(action="look", when="args.plaice == 'x'"))
    assert "look has no argument 'plaice'; expected one of place" in found[0][3]


def test_an_irreversible_action_needs_a_read_back(airline):
    found = findings_of(airline, tools={"look": SideEffect.IRREVERSIBLE})
    assert found == [("actions.yaml", 3, "", "look: consent: expected, because it is irreversible")]


def test_a_side_effect_may_not_be_made_laxer(airline):
    found = findings_of(
        airline, actions="actions: {look: {side_effect: read}}", tools={"look": SideEffect.WRITE}
    )
    assert "expected write or stricter" in found[0][3]


def test_a_value_that_must_be_heard_has_to_be_in_the_template_with_the_same_kind(airline):
    actions = (
        "actions:\n  look:\n    consent:\n      template: 'Look at {args.place|text}?'\n"
        "      must_contain: [{value: args.place, kind: id}, {value: args.day, kind: date}]\n"
    )
    messages = [message for *_, message in findings_of(airline, actions=actions)]
    assert any("args.place is id here and text in the template" in message for message in messages)
    assert any("args.day is not in the template" in message for message in messages)


def test_nothing_irreversible_may_run_undecided(airline):
    found = findings_of(airline, actions="fallbacks: {irreversible: {effect: allow}}\n")
    assert found == [("actions.yaml", 3, "", "fallbacks.irreversible: expected deny or escalate, got allow")]


def test_facts_come_from_read_only_tools_that_the_pack_has(airline):
    facts = "facts:\n  a: {tool: gone}\n  b: {tool: book}\n"
    found = findings_of(airline, domain=facts, tools={"book": SideEffect.WRITE, "look": SideEffect.READ})
    assert [(line, message.split(":")[0]) for _, line, _, message in found] == [(4, "fact a"), (5, "fact b")]


def test_facts_may_not_need_each_other_in_a_ring(airline):
    facts = "facts:\n  a: {tool: t, arguments: {x: facts.b.x}}\n  b: {tool: t, arguments: {x: facts.a.x}}\n"
    assert "fact a needs itself: a → b → a" in findings_of(airline, domain=facts)[0][3]


def test_facts_that_many_others_lead_to_are_looked_at_once(bench_of):
    """Every fact takes arguments from both of the level before: there are 2^60 ways to the last."""
    levels = [[f"a{level}", f"b{level}"] for level in range(60)]
    with pytest.raises(BrokenBundleError, match="gate action, action look: its rules need 119 facts"):
        bench_of(domain=chained(levels) + needing("a59"))


def test_a_decision_that_needs_more_facts_than_a_question_holds_is_refused(bench_of):
    names = [f"f{at}" for at in range(FACTS_MAX + 1)]
    bench_of(domain=chained([names[1:]]) + needing(*names[1:]))
    with pytest.raises(BrokenBundleError, match=f"need {FACTS_MAX + 1} facts; expected at most {FACTS_MAX}"):
        bench_of(domain=chained([names]) + needing(*names))


def test_a_fact_that_a_session_never_gets_to_is_warned_of_with_its_line(airline):
    files = {
        **airline.minimal,
        "domain.yaml": HEAD + (chained([["a"], ["b"], ["c"]]) + needing("c")).encode(),
    }
    found = [(w.file, w.line, w.message) for w in compile_bundle(files, pack="tiny").warnings]
    assert found == [
        ("domain.yaml", 6, "fact c: it is had in round 3, but a session fetches 2 times for a decision")
    ]


def chained(levels):
    """Facts of which each takes arguments from all of the level before."""
    lines = []
    for before, now in zip([[], *levels], levels, strict=False):
        arguments = ", ".join(f"{name}: facts.{name}.x" for name in before) or "n: session.turn"
        lines += [f"  {name}: {{tool: look, arguments: {{{arguments}}}}}\n" for name in now]
    return "facts:\n" + "".join(lines)


def needing(*facts):
    when = " || ".join(f"facts.{name}.x" for name in facts)
    return f"rules:\n  - {{id: r, gate: action, action: look, when: {when}, effect: deny, on_error: deny}}\n"


@pytest.mark.parametrize("phrase", ["(", "a(?=b)", "x{1000}{1000}", "(?P<n>", "''"])
def test_a_hostile_phrase_is_refused_with_its_line(airline, phrase):
    text = f'phrases:\n  - id: p\n    gate: input\n    effect: deny\n    phrases:\n      - fine\n      - "{phrase}"\n'
    if phrase == "''":
        text = text.replace("\"''\"", "' '")
    ((file, line, name, _),) = findings_of(airline, safety=text)
    assert (file, line, name) == ("safety.yaml", 9, "p")


def test_a_huge_file_is_refused(airline):
    files = {**airline.minimal, "domain.yaml": HEAD + b"# " + b"x" * 300_000}
    with pytest.raises(BrokenBundleError, match="at most 262144 bytes"):
        compile_bundle(files, pack="tiny")


def test_deep_yaml_is_refused(airline):
    files = {**airline.minimal, "domain.yaml": HEAD + b"rules: " + b"[" * 5000}
    with pytest.raises(BrokenBundleError):
        compile_bundle(files, pack="tiny")


def test_a_tool_that_no_action_names_is_a_warning(airline):
    compiled = compile_bundle(
        airline.minimal, pack="tiny", tools={"look": SideEffect.READ, "hide": SideEffect.READ}
    )
    assert [w.message for w in compiled.warnings] == ["hide: named by no action, so the default holds (deny)"]
