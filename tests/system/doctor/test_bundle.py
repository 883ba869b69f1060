"""The report for a bug has what helps, and no secret, no name of a person or machine, and no text of a skill."""

import zipfile

import pytest

from engine.cli import main
from engine.core.edit import Edit, Provenance
from engine.core.events import EditProposed, Notice, RunStarted
from engine.runs.directory import Run
from engine.system.doctor import examine
from engine.system.doctor.bundle import BundleError, write_bundle
from engine.system.doctor.redaction import Redactor
from tests.runs.samples import CONFIG
from tests.system.doctor.machines import subject

KEY = "planted-Zk3v9QmL2xT7"
SECRETS = {
    "an OpenAI key": "sk-proj-abcDEF0123456789abcDEF0123456789",
    "an Anthropic key": "sk-ant-api03-QWERTYuiop0123456789QWERTY",
    "a Hugging Face token": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "a GitHub token": "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
    "an NVIDIA key": "nvapi-Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0",
    "an AWS key": "AKIAIOSFODNN7EXAMPLE",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "a random word": "q7Zp2Lw9Xk4Vb8Nc1Md6Rf3Tg5Yh0JuWe2Qa",
}
LINES = [
    *(f"POST failed with {secret}" for secret in SECRETS.values()),
    "Authorization: Bearer tiny-Secret-77",
    'api_key = "hunter2-and-more"',
    "PASSWORD=correct-horse",
    "GET https://anna:pa55word@models.corp.example/v1",
    "connecting to http://node17.cluster.example:8000/v1 and 10.11.12.13",
    "mail anna.schmidt@corp.example about /home/annaschmidt/runs and /Users/bschulz/x",
    "the skill says: Mugs are hidden behind the blue teapot.",
    "the environment has " + KEY,
    "a line that helps: CUDA error 700 at step 12",
]
GONE = [
    *SECRETS.values(),
    KEY,
    "tiny-Secret-77",
    "hunter2",
    "correct-horse",
    "pa55word",
    "corp.example",
    "node17",
    "10.11.12.13",
    "anna",
    "bschulz",
    "blue teapot",
    "red kettle",
]
SKILL = "---\nname: mugs\ndescription: Where mugs are.\n---\nMugs are hidden behind the blue teapot.\n"


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(
            RunStarted(run_kind="train", profile="pocket", steps=2, pid=1),
            Notice("warning", f"the server said {SECRETS['a GitHub token']}"),
        )
        run.log_file.parent.mkdir(exist_ok=True)
        run.log_file.write_text("\n".join(LINES))
        (run.repo_path / "mugs").mkdir(parents=True)
        (run.repo_path / "mugs" / "SKILL.md").write_text(SKILL)
        yield run


def content(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_nothing_planted_is_in_the_report_and_what_helps_is(tmp_path, run):
    given = subject(tmp_path, environment={"OPENAI_API_KEY": KEY, "TERM": "xterm"})
    names = write_bundle(tmp_path / "bug.zip", given, examine(given), run)
    found = content(tmp_path / "bug.zip")
    assert list(found) == names and {"versions.txt", "doctor.txt", "config.toml", "plan.txt", "run/status.json"} <= set(
        names
    )
    whole = "\n".join(found.values())
    assert [secret for secret in GONE if secret in whole] == []
    assert "a line that helps: CUDA error 700 at step 12" in found["run/logs/engine.log"]
    assert "max_prompt_tokens = 1024" in found["config.toml"] and "TERM=xterm" in found["versions.txt"]
    assert '"state"' in found["run/status.json"] and "RunStarted" in found["run/events.txt"]


def test_texts_of_proposed_edits_are_left_out_too(tmp_path, run):
    after = SKILL.replace("blue teapot", "red kettle")
    edit = Edit(
        id="e1", operation="insert", skill="kettle", before=None, after=after, provenance=Provenance(proposer="x")
    )
    run.append(EditProposed(edit))
    run.log_file.write_text(
        'Traceback: \'Mugs are hidden behind the red kettle.\'\n{"x": "a\\nmugs ARE hidden behind the…"}\nValueError'
    )
    write_bundle(tmp_path / "bug.zip", subject(tmp_path), [], run)
    log = content(tmp_path / "bug.zip")["run/logs/engine.log"]
    assert log == "[skill text]\n[skill text]\nValueError\n"


def test_this_persons_and_this_machines_names_are_replaced():
    redact = Redactor({}, homes=["/srv/people/jo"], users=["jolene"], hosts=["spark-3f2a"])
    text = redact("jolene@spark-3f2a:/srv/people/jo/runs$ ls /srv/people/johanna")
    assert text == "USER@HOST:~/runs$ ls /srv/people/johanna"


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens = 1024",
        "http://127.0.0.1:8000/v1 at localhost",
        "adapters have SHA-256 " + "df244df71425" * 5 + "abcd",
        "step 3 took 18.5 s, 1,024 tokens",
        "Qwen/Qwen3-8B on torch 2.13.0+cu130",
        "/usr/lib/python3.11/site-packages/torch/nn/modules/module.py line 1511",
    ],
)
def test_what_is_no_secret_stays(text):
    assert Redactor({}, homes=["/root"], users=["root"], hosts=["localhost"])(text) == text


def test_a_report_that_exists_is_not_overwritten(tmp_path, run):
    (tmp_path / "bug.zip").write_text("mine")
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(tmp_path / "bug.zip", subject(tmp_path), [], run)
    assert (tmp_path / "bug.zip").read_text() == "mine"
    with pytest.raises(BundleError, match="cannot be written"):
        write_bundle(tmp_path / "nowhere" / "bug.zip", subject(tmp_path), [], None)


def test_the_command_writes_the_report_of_the_run_that_is_named(tmp_path, run, capsys):
    assert main(["doctor", "--run", str(run.path), "--bundle", str(tmp_path / "bug.zip")]) == 0
    assert "look through it before you send it" in capsys.readouterr().err
    assert "run/status.json" in content(tmp_path / "bug.zip")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("key=planted-value", "key=[secret]"),
        ("x-api-key: planted-value", "x-api-key: [secret]"),
        ("connect to fe80::1ff:fe23:4567:890a", "connect to ADDRESS"),
        ("bind to [2001:db8::5]:8000", "bind to [ADDRESS]:8000"),
        (r"C:\Users\anna\runs", r"C:\Users\USER\runs"),
        ('key = "OPENAI_API_KEY"', 'key = "OPENAI_API_KEY"'),  # the name of a key, which helps
        ("at 10:20:30 in std::vector of ::1", "at 10:20:30 in std::vector of ::1"),
    ],
)
def test_keys_addresses_and_home_folders_of_every_kind_are_taken_out(line, shown):
    assert Redactor({})(line) == shown
