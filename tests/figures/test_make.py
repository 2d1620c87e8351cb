from dataclasses import replace

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.figures.make import FIGURES, available, check_names, make_figures


@pytest.fixture
def trio(make_cell):
    return [
        make_cell(skill=0.9),
        make_cell("s-model", skill=0.7, outputs=("mask",)),
        make_cell("q-model", skill=0.6, outputs=("head",)),
    ]


def test_available_says_why_not(trio, make_run):
    found = available(make_run(trio), trio)
    assert list(found) == list(FIGURES)
    assert found["fig7"] == found["fig9"] == ""
    assert "scans" in found["fig6"]
    assert "one setting" in found["fig4"]
    assert all("\n" not in reason for reason in found.values())
    failed = [replace(trio[0], state="failed")]
    assert all("nothing to draw" in r for r in available(make_run(failed), failed).values())


def test_all_that_can_be_drawn_is_and_the_rest_is_told(trio, make_run, tmp_path):
    lines = []
    files = make_figures(make_run(trio), trio, tmp_path / "out", progress=lines.append)
    assert {path.name.split("-")[0].split(".")[0] for path in files} == {"fig7", "fig9"}
    assert all(path.is_file() for path in files)
    for name in ("fig4", "fig5", "fig6", "fig8"):
        assert any(line.startswith(f"{name}: not drawn: ") for line in lines)


def test_a_figure_asked_for_by_name_must_come(trio, make_run, tmp_path):
    run = make_run(trio[:1])
    with pytest.raises(UserError, match=r"fig9: .*table2"):
        make_figures(run, trio[:1], tmp_path / "out", ["fig7", "fig9"])
    assert not (tmp_path / "out").exists()  # nothing half done
    with pytest.raises(UserError, match="did you mean 'fig9'"):
        check_names(["fig99"])
    assert check_names(["9", "fig7", "9"]) == ("fig9", "fig7")


def test_scans_of_another_cohort_are_refused(trio, make_run, tmp_path):
    from benchmark.cohorts.base import Cohort

    class Other(Cohort):
        name = "other"

        def fingerprint(self):
            return "ff" * 32

        def records(self):
            return ()

        def load(self, id):
            raise AssertionError

    with pytest.raises(UserError, match="not the one of"):
        make_figures(make_run(trio), trio, tmp_path, ["fig6"], cohort=Other())


def test_command_line(trio, make_run, tmp_path, capsys):
    run = make_run(trio, keep=True)
    runs = ["--runs", str(tmp_path / "runs")]
    assert main(["figures", *runs, "--which", "fig7,9", "--methods", "q-model"]) == 0
    said = capsys.readouterr().out
    folder = run.folder / "figures"
    assert (folder / "fig9.pdf").is_file()
    assert (folder / "fig7-q-model-head.png").is_file()
    assert f"written: {folder / 'fig9-pairs.csv'}" in said
    assert main(["figures", "tiny", *runs, "--out", str(tmp_path / "own")]) == 0
    said = capsys.readouterr().out
    assert (tmp_path / "own" / "fig9.png").is_file()
    assert "fig6: not drawn: needs the scans of cohort fake" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--which", "fig12"], "unknown figure 'fig12'"),
        (["--which", "fig4"], "fig4: the run has one setting"),
        (["--which", "fig6"], "name their folder with --data"),
        (["--which", "fig7", "--methods", "nobody"], "has no method 'nobody'"),
        (["nothing"], "no run 'nothing'"),
        (["--scores", "MAE"], "MAE"),
    ],
)
def test_bad_input_is_one_line_and_status_2(trio, make_run, tmp_path, capsys, arguments, message):
    make_run(trio, keep=True)
    assert main(["figures", *arguments, "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
