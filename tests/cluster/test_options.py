"""What a job asks for, and runs side by side on this machine."""

import json

import pytest

from benchmark.cli import main
from benchmark.cluster import jobs
from benchmark.cluster.options import minutes, parse_slurm
from benchmark.errors import UserError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90", 90), ("8:00:00", 480), ("1-00:00:00", 1440), ("30:00", 30), ("0-01:30", 90)],
)
def test_limits_of_time_are_read_as_slurm_reads_them(text, wanted):
    assert minutes(text) == wanted


@pytest.mark.parametrize("text", ["0", "soon", "-5", "0:10"])
def test_other_limits_are_refused(text):
    with pytest.raises(UserError, match="--slurm time"):
        minutes(text)


def test_options_from_the_command_line_and_from_a_file_are_the_same(tmp_path):
    path = tmp_path / "gpu.yaml"
    path.write_text("partition: gpu\ngpus: 1\ncpus: 8\ntime: '8:00:00'\n")
    found = parse_slurm("partition=gpu,gpus=1,cpus=8,time=8:00:00")
    assert found == parse_slurm(str(path))
    assert (found.gpus, found.cpus, found.values["time"]) == (1, 8, 480)


def test_what_submitit_has_no_word_for_reaches_sbatch():
    from submitit.slurm.slurm import _make_sbatch_string

    found = parse_slurm("partition=gpu,reservation=night,mail_user=a@b.org,mail_type=END")
    text = _make_sbatch_string(
        "true", "logs", additional_parameters=found.passed_on, partition="gpu"
    )
    assert "#SBATCH --reservation=night" in text
    assert "#SBATCH --mail-user=a@b.org" in text
    assert found.values["partition"] == "gpu"


@pytest.mark.parametrize("text", ["partitoin=gpu", "gpu", "gpus=many", "no.yaml"])
def test_bad_options_end_in_one_line(text, capsys):
    status = main(["run", "--suite", "table1", "--launcher", "slurm", "--slurm", text])
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_scheduler_that_does_not_answer_ends_nothing(monkeypatch):
    monkeypatch.setattr(jobs, "_ask", lambda *_: None)
    assert jobs.states_of([jobs.JobEntry("12_0", "slurm", ("a",))]) is None


def test_states_of_a_queue(monkeypatch):
    answer = "12_0 RUNNING None\n12_1 PENDING Resources\n12_3 COMPLETED None\n"
    monkeypatch.setattr(jobs, "_ask", lambda *_: answer)
    entries = [jobs.JobEntry(f"12_{n}", "slurm", (str(n),)) for n in range(4)]
    assert list(jobs.states_of(entries).values()) == ["running", "queued", "gone", "gone"]


def test_jobs_side_by_side_give_the_board_of_one_process(tmp_path, capsys):
    fixed = [
        "run", "--suite", "table1", "--scale", "smoke", "--methods", "indices-net,all-lad",
        "--device", "cpu", "--threads", "1", "--no-figures", "--plain",
    ]  # fmt: skip
    assert main([*fixed, "--out", str(tmp_path / "here")]) == 0
    assert (
        main([*fixed, "--out", str(tmp_path / "side"), "--launcher", "local", "--jobs", "2"]) == 0
    )
    boards = []
    for out in ("here", "side"):
        (path,) = (tmp_path / out).glob("table1/*/leaderboard.json")
        boards.append([row["lines"] for row in json.loads(path.read_text())["methods"]])
    assert boards[0] == boards[1]
    capsys.readouterr()
    assert main(["status", "--out", str(tmp_path / "side")]) == 0
    assert "2 runs: 2 finished" in capsys.readouterr().out
    assert main(["cancel", "--out", str(tmp_path / "side")]) == 0
    assert "0 jobs cancelled" in capsys.readouterr().out
